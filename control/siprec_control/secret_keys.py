"""The file with the keys that seal secrets: which one it is, and how it is changed.

Readers (siprec.vault) see the old file or the new one, never a part of it.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from siprec.settings import Settings
from siprec.vault import VARIABLE, Key, VaultError, new_key, read_keys
from siprec_control.errors import StateError
from siprec_control.state import StateFolder

FILE_NAME = "secret.key"


def resolve_key_file(settings: Settings, state: StateFolder) -> str:
    """Give the path of the key file, or "" when the keys stand in $SIPREC_SECRET_KEYS.

    The file is `secrets.key_file`; without that setting the variable counts, and without both
    STATE/secret.key, made at the first start.

    Raises:
        StateError: there is no usable key. One that was named is never made: with a new key
            nothing could be read that an old one sealed.
    """
    named = settings.secrets.key_file
    if named is None and os.environ.get(VARIABLE):
        _read(None)
        return ""
    file = Path(named).absolute() if named else state.path.absolute() / FILE_NAME
    if named is None and not file.exists():
        write_keys(file, [make_key()])
    _read(file)
    return str(file)


def make_key() -> Key:
    """Make a key whose note tells when."""
    return new_key(datetime.now().astimezone().isoformat(timespec="seconds"))


def _read(file: Path | None) -> None:
    try:
        read_keys(file)
    except VaultError as error:
        raise StateError(str(error)) from error


@contextmanager
def changing(file: Path) -> Iterator[None]:
    """Keep others from changing the keys meanwhile: a key that is lost cannot be made again.

    Raises:
        StateError: the folder cannot be opened.
    """
    try:
        folder = os.open(file.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StateError(f"{file}: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def write_keys(file: Path, keys: Iterable[Key]) -> None:
    """Write the keys, newest first, in one step: mode 0600, of the same owner as before.

    Raises:
        StateError: it cannot be written.
    """
    text = "".join(f"{key.text}  # {key.note}\n" if key.note else f"{key.text}\n" for key in keys)
    # What the path may be a link to is replaced, not the link.
    real = file.resolve()
    fresh = real.with_name(f".{real.name}.new")
    try:
        with suppress(FileNotFoundError):
            fresh.unlink()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii", errors="replace") as opened:
            with suppress(FileNotFoundError):
                owner = real.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
        fresh.replace(real)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise StateError(f"{file}: cannot be written: {error.strerror}") from error
