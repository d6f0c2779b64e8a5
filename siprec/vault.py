"""Secrets sealed for the store, with authenticated encryption (Fernet: AES-128-CBC, HMAC-SHA256).

A sealed text is `sealed:1:KEY:TOKEN`. KEY is the name of the key that sealed it, so that one
which is missing can be named, and one that nothing needs any more is found without decrypting
anything; that is why the keys are not in a MultiFernet, which tries one after the other.
The newest key seals, all unseal. docs/redis.md tells what is sealed, and how keys are changed.
"""

import hashlib
import os
import re
import stat
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Self

from cryptography.fernet import Fernet, InvalidToken

from siprec.errors import SiprecError
from siprec.record import SEALED
from siprec.settings import Runtime

VARIABLE = "SIPREC_SECRET_KEYS"
PREFIX = f"{SEALED}1:"

# A stream is saved several times with the same SDP: its token is kept, for what it is worth.
TOKENS_KEPT = 2_000
KEPT_CHARS = 8_000

LOOK_S = 1.0

_SEALED = re.compile(rf"{PREFIX}([0-9a-f]{{8}}):([A-Za-z0-9_=-]+)", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=", re.ASCII)
# No one but the owner may do anything, and the owner has no use for executing it.
_FORBIDDEN_MODE = 0o177


class VaultError(SiprecError):
    """Something cannot be sealed or unsealed. Says why, and names keys; holds no secret."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key: its name, which stands in all that it sealed, and its note in the file."""

    name: str
    text: str = field(repr=False)
    note: str = ""


class Vault:
    """Seals and unseals. For many threads, and for processes that were forked from its maker.

    `file` holds the keys; None means that they stand in $SIPREC_SECRET_KEYS. They are read when
    they are first needed, and again when the file has changed: looked at once a second while
    something is sealed, and whenever a key is missing.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._lock = Lock()
        self._fernets: dict[str, Fernet] = {}
        self._newest = ""
        self._seen: object = None
        self._look_at = 0.0
        self._tokens: OrderedDict[str, str] = OrderedDict()

    @classmethod
    def from_runtime(cls, runtime: Runtime) -> Self:
        """Give the vault of a stack."""
        file = runtime.secret_key_file
        return cls(Path(file) if file else None)

    def seal(self, text: str) -> str:
        """Encrypt a text with the newest key; any str comes back as it was.

        Raises:
            VaultError: there are no keys, or they cannot be read.
        """
        with self._lock:
            self._look()
            token = self._tokens.get(text)
            if token is None:
                token = self._encrypt(text)
                if len(text) <= KEPT_CHARS:
                    self._keep(text, token)
            else:
                self._tokens.move_to_end(text)
            return token

    def unseal(self, sealed: str) -> str:
        """Decrypt what `seal` gave.

        Raises:
            VaultError: it is not sealed or was changed, its key is missing, or the keys cannot
                be read.
        """
        match = _SEALED.fullmatch(sealed)
        if match is None:
            raise VaultError("is not sealed as this version does it")
        name, token = match.groups()
        fernet = self._fernet(name)
        try:
            return fernet.decrypt(token).decode("utf-8", "surrogatepass")
        except InvalidToken:
            raise VaultError(f"is sealed with key {name}, but was changed since") from None

    def unseal_or_nothing(self, sealed: str) -> str:
        """Decrypt as `unseal` does; give "" when that cannot be done."""
        try:
            return self.unseal(sealed)
        except VaultError:
            return ""

    def _encrypt(self, text: str) -> str:
        # Bodies of peers may hold what is no UTF-8; surrogatepass takes every str there is.
        token = self._fernets[self._newest].encrypt(text.encode("utf-8", "surrogatepass"))
        return f"{PREFIX}{self._newest}:{token.decode()}"

    def _keep(self, text: str, token: str) -> None:
        self._tokens[text] = token
        if len(self._tokens) > TOKENS_KEPT:
            self._tokens.popitem(last=False)

    def _fernet(self, name: str) -> Fernet:
        with self._lock:
            if name not in self._fernets:
                self._load()
            if name not in self._fernets:
                raise VaultError(f"is sealed with key {name}, which is not in {_place(self._file)}")
            return self._fernets[name]

    def _look(self) -> None:
        """Read the keys again if the file has changed; one that is out of order changes nothing."""
        now = self._clock()
        if self._fernets and now < self._look_at:
            return
        self._look_at = now + LOOK_S
        try:
            if not self._fernets or self._seen != _mark(self._file):
                self._load()
        except VaultError:
            if not self._fernets:
                raise

    def _load(self) -> None:
        seen = _mark(self._file)
        keys = read_keys(self._file)
        self._fernets = {key.name: Fernet(key.text) for key in keys}
        self._newest = keys[0].name
        self._seen = seen
        self._tokens.clear()


def is_sealed(text: str) -> bool:
    """Tell whether the text has the form of a sealed one."""
    return _SEALED.fullmatch(text) is not None


def keys_in(text: str) -> set[str]:
    """Name the keys that sealed something inside a text, such as the JSON of a record."""
    return {match[1] for match in _SEALED.finditer(text)}


def read_keys(file: Path | None) -> list[Key]:
    """Read the keys, newest first, of a file or (None) of $SIPREC_SECRET_KEYS.

    Each line of a file holds a key, and a note after `#`; the variable has commas.

    Raises:
        VaultError: the file cannot be read, others may read it, or something is no key.
    """
    lines = os.environ.get(VARIABLE, "").split(",") if file is None else _lines(file)
    keys = list(_keys(lines, _place(file)))
    if not keys:
        raise VaultError(f"{_place(file)}: holds no key")
    return keys


def new_key(note: str = "") -> Key:
    """Make a key."""
    return _key(Fernet.generate_key().decode(), note)


def _keys(lines: Iterable[str], place: str) -> Iterable[Key]:
    for number, line in enumerate(lines, 1):
        text, _, note = line.partition("#")
        if not text.strip():
            continue
        try:
            yield _key(text.strip(), note.strip())
        except ValueError:
            # What the line holds may be a key with a typing error: it is not quoted.
            raise VaultError(f"{place}: number {number} is not 32 bytes in base64") from None


def _key(text: str, note: str) -> Key:
    # The decoder passes over what is no base64, and Fernet with it.
    if not _KEY.fullmatch(text):
        raise ValueError
    raw = urlsafe_b64decode(text)
    return Key(hashlib.sha256(b"siprec key " + raw).hexdigest()[:8], text, note)


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            if mode & _FORBIDDEN_MODE:
                raise VaultError(f"{file}: has mode {mode:04o}, must have 0600: chmod 600 {file}")
            return opened.read().decode("ascii", "replace").splitlines()
    except OSError as error:
        raise VaultError(f"{file}: {error.strerror}") from error


def _place(file: Path | None) -> str:
    return f"${VARIABLE}" if file is None else str(file)


def _mark(file: Path | None) -> object:
    """Give what changes when the file does."""
    if file is None:
        return os.environ.get(VARIABLE, "")
    try:
        status = file.stat()
    except OSError as error:
        raise VaultError(f"{file}: {error.strerror}") from error
    return status.st_mtime_ns, status.st_ino, status.st_size
