"""Answer a digest challenge of an SRS (RFC 3261 §22, RFC 7616, RFC 8760). Pure.

The challenger proposes, we choose the strongest: SHA-256, then MD5, each also as `-sess`.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from siprec.errors import SiprecError

MAX_CHALLENGE_CHARS = 4096

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_HEADER = re.compile(r"\s*(?:WWW|Proxy)-Authenticate\s*:", re.IGNORECASE)
# One parameter, and before the first of a challenge its scheme (RFC 9110 §11.6.1).
_PARAMETER = re.compile(
    rf"[\s,]*(?:(?P<scheme>{_TOKEN})\s+(?={_TOKEN}\s*=))?(?P<name>{_TOKEN})\s*=\s*"
    rf'(?:"(?P<quoted>(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*)"|(?P<plain>{_TOKEN}))'
    r"(?=\s*(?:,|\Z))"
)
_ESCAPE = re.compile(r"\\(.)")

_HASHES: dict[str, Callable[[bytes], "hashlib._Hash"]] = {
    "SHA-256": hashlib.sha256,
    # RFC 8760 §2.1 keeps it for old peers only, and so do we: nothing better was offered.
    "MD5": hashlib.md5,
}
_STRONGEST = tuple(_HASHES)


class DigestError(SiprecError):
    """A challenge cannot be answered. `why` quotes nothing secret."""

    code = 32106

    def __init__(self, why: str) -> None:
        super().__init__(f"digest: {why}")
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Challenge:
    """A challenge that we can answer. `qop` is "" in the manner of RFC 2069.

    `named` is the algorithm as the challenge names it, "" when it leaves that to the default.
    """

    realm: str
    nonce: str
    opaque: str | None
    hash_name: str
    is_session: bool
    named: str
    qop: str

    def hashed(self, *parts: str | bytes) -> str:
        """Hash the parts, joined by colons: KD and H of RFC 7616 §3.3."""
        raw = (part if isinstance(part, bytes) else _bytes(part) for part in parts)
        return _HASHES[self.hash_name](b":".join(raw)).hexdigest()

    def first(self, user: str, password: str, cnonce: str) -> str:
        """Hash A1 of RFC 7616 §3.4.2."""
        secret = self.hashed(user, self.realm, password)
        return self.hashed(secret, self.nonce, cnonce) if self.is_session else secret

    def second(self, method: str, uri: str, body: bytes) -> str:
        """Hash A2 of RFC 7616 §3.4.3."""
        entity = (self.hashed(body),) if self.qop == "auth-int" else ()
        return self.hashed(method, uri, *entity)


def answer_challenge(
    challenges: Sequence[str],
    *,
    user: str,
    password: str,
    method: str,
    uri: str,
    body: bytes,
    cnonce: str,
    nc: int,
) -> str:
    """Give the value of Authorization (after 401) or Proxy-Authorization (after 407).

    challenges: header lines or values. uri: the Request-URI. cnonce: random, of
    token characters. nc: how often this nonce was used, from 1.
    The value may hold `!`. Whoever is refused with it tries again only when `is_stale`:
    otherwise the password is wrong.

    Raises:
        DigestError: no challenge is one that we can answer, or there are no credentials.
    """
    if not user:
        raise DigestError("the connector has no user and password")
    chosen = _strongest(challenges)
    count = f"{nc:08x}"
    hashes = chosen.first(user, password, cnonce), chosen.second(method, uri, body)
    middle = (count, cnonce, chosen.qop) if chosen.qop else ()
    fields = [
        f'username="{_quotable(user)}"',
        f'realm="{_quotable(chosen.realm)}"',
        f'nonce="{_quotable(chosen.nonce)}"',
        f'uri="{_quotable(uri)}"',
        f'response="{chosen.hashed(hashes[0], chosen.nonce, *middle, hashes[1])}"',
        *([f"algorithm={chosen.named}"] if chosen.named else []),
        *([f'cnonce="{cnonce}"'] if chosen.qop or chosen.is_session else []),
        *([f'opaque="{_quotable(chosen.opaque)}"'] if chosen.opaque is not None else []),
        *([f"qop={chosen.qop}", f"nc={count}"] if chosen.qop else []),
    ]
    return f"Digest {', '.join(fields)}"


def is_stale(challenges: Sequence[str]) -> bool:
    """Tell whether only the nonce was wrong: the same credentials with the new one will do."""
    return any(
        found.get("stale", "").lower() == "true"
        for challenge in challenges
        for found in _digests(challenge)
    )


def _strongest(challenges: Sequence[str]) -> _Challenge:
    reasons: list[str] = []
    usable: list[_Challenge] = []
    for found in (each for challenge in challenges for each in _digests(challenge)):
        made = _challenge(found)
        if isinstance(made, _Challenge):
            usable.append(made)
        else:
            reasons.append(made)
    if not usable:
        raise DigestError("; ".join(reasons) or "there is no digest challenge")
    # RFC 8760 §2.4 takes the first unless local policy says otherwise. Ours: a challenger that
    # lists MD5 first must not make us use it.
    return min(usable, key=lambda each: _STRONGEST.index(each.hash_name))


def _challenge(found: dict[str, str]) -> _Challenge | str:
    """Read a digest challenge; a text says why it is of no use."""
    if "realm" not in found or "nonce" not in found:
        return "a challenge without realm or nonce"
    named = found.get("algorithm", "")
    algorithm = (named or "MD5").upper()
    hash_name = algorithm.removesuffix("-SESS")
    if hash_name not in _HASHES:
        return f"unknown algorithm {named[:40]!r}"
    qop = ""
    if "qop" in found:
        offered = [word.strip().lower() for word in found["qop"].split(",")]
        qop = next((word for word in ("auth", "auth-int") if word in offered), "")
        if not qop:
            return f"unknown qop {found['qop'][:40]!r}"
    return _Challenge(
        realm=found["realm"],
        nonce=found["nonce"],
        opaque=found.get("opaque"),
        hash_name=hash_name,
        is_session=hash_name != algorithm,
        named=named,
        qop=qop,
    )


def _digests(challenge: str) -> list[dict[str, str]]:
    """Give the parameters of the digest challenges in a header; none if it is malformed."""
    header = _HEADER.match(challenge)
    text = challenge[header.end() if header else 0 :].strip()
    if len(text) > MAX_CHALLENGE_CHARS:
        return []
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(text):
        parameter = _PARAMETER.match(text, at)
        if parameter is None or not (found or parameter["scheme"]):
            return []
        if parameter["scheme"]:
            found.append((parameter["scheme"].lower(), {}))
        quoted = parameter["quoted"]
        value = parameter["plain"] if quoted is None else _ESCAPE.sub(r"\1", quoted)
        found[-1][1].setdefault(parameter["name"].lower(), value)
        at = parameter.end()
    return [parameters for scheme, parameters in found if scheme == "digest"]


def _quotable(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _bytes(text: str) -> bytes:
    # As the message was read: not every byte of a peer is UTF-8.
    return text.encode("utf-8", "surrogateescape")
