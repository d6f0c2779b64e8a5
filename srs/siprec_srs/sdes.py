"""Security descriptions: keys that travel in the session description (RFC 4568)."""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass

from siprec_srs.suites import SUITES, Suite

_CRYPTO = re.compile(r"(\d{1,9})[ \t]+(\S+)[ \t]+(\S+)((?:[ \t]+\S+)*)[ \t]*", re.ASCII)
_INLINE = re.compile(r"inline:([A-Za-z0-9+/]+={0,2})(\|[^|]*)?(\|[^|]*)?", re.ASCII)
_SECRET = re.compile(rb"(a=crypto:[^\r\n]*?inline:)([^\r\n|; ]+)")
# It has a suite of its own in every offer of rtpengine that nobody trimmed.
_WORTHLESS = ("NULL_", "F8_128_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One a=crypto line that we could use. `secret` is master key and master salt."""

    tag: str
    suite: Suite
    secret: bytes

    def __repr__(self) -> str:
        """Show everything but the secret."""
        return f"Crypto(tag={self.tag!r}, suite={self.suite.name!r})"


def offered_suites(values: list[str]) -> list[tuple[str, str]]:
    """Return tag and suite of each a=crypto value, whether we know the suite or not."""
    found = (_CRYPTO.fullmatch(value) for value in values)
    return [(match[1], match[2].upper()) for match in found if match]


def worthless_suites(values: list[str]) -> list[str]:
    """Name the offered suites that encrypt nothing, or that nobody should use any more."""
    return [suite for _, suite in offered_suites(values) if suite.startswith(_WORTHLESS)]


def choose_crypto(values: list[str], allowed: tuple[str, ...]) -> Crypto | None:
    """Return the first offered a=crypto that we can use, None when there is none."""
    for value in values:
        crypto = _read(value)
        if crypto is not None and crypto.suite.name in allowed:
            return crypto
    return None


def _read(value: str) -> Crypto | None:
    match = _CRYPTO.fullmatch(value)
    suite = SUITES.get(match[2].upper()) if match else None
    key = _INLINE.fullmatch(match[3]) if match else None
    if match is None or suite is None or key is None:
        return None
    # An MKI we do not do. KDR and UNENCRYPTED_… must be refused by who does not know them (§6.3).
    is_plain = all(word.upper().startswith("WSH=") for word in match[4].split())
    if not is_plain or any(":" in (part or "") for part in key.groups()[1:]):
        return None
    try:
        # RFC 4568 §6.1: padding is discarded, so a peer may leave it out.
        secret = base64.b64decode(key[1].rstrip("=") + "=" * (-len(key[1].rstrip("=")) % 4))
    except binascii.Error:
        return None
    if len(secret) != suite.secret_bytes:
        return None
    return Crypto(tag=match[1], suite=suite, secret=secret)


def new_secret(suite: Suite) -> bytes:
    """Return a master key and salt of our own."""
    return secrets.token_bytes(suite.secret_bytes)


def write_crypto(tag: str, suite: str, secret: bytes) -> str:
    """Write the a=crypto attribute, without `a=`."""
    return f"crypto:{tag} {suite} inline:{base64.b64encode(secret).decode()}"


def hide_secrets(body: bytes) -> bytes:
    """Take the keys out of a session description that is to be kept."""
    return _SECRET.sub(rb"\1(hidden)", body)


def secrets_in(body: bytes) -> list[str]:
    """Give what `hide_secrets` would hide: master keys with their salts, in base64."""
    return [secret.decode("ascii", "replace") for _, secret in _SECRET.findall(body)]
