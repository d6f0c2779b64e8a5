"""Who may record: digest authentication (RFC 3261 §22, RFC 8760) or a header that must be there."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from siprec_srs.address import unquote
from siprec_srs.behaviour import AccessPolicy
from siprec_srs.message import Header, Request, split_outside

REALM = "siprec-srs"
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_COUNTS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`status` 0 lets the request in; `why` is for people; `proof` is what was verified."""

    status: int = 0
    why: str = ""
    headers: tuple[Header, ...] = ()
    proof: str | None = None

    @property
    def is_challenge(self) -> bool:
        """Tell whether credentials would help."""
        return self.status in (401, 407)


def digest_response(
    algorithm: str, secret: str, method: str, fields: dict[str, str], realm: str = REALM
) -> str:
    """Compute the response of RFC 7616 §3.4.1 with qop=auth.

    secret: `user:password`. fields: uri, nonce, nc and cnonce as in the Authorization header.
    """

    def hashed(*parts: str) -> str:
        return _HASHES[algorithm](_bytes(":".join(parts))).hexdigest()

    user, _, password = secret.partition(":")
    first = hashed(user, realm, password)
    second = hashed(method, fields.get("uri", ""))
    middle = (fields.get(name, "") for name in ("nonce", "nc", "cnonce"))
    return hashed(first, *middle, "auth", second)


class Access:
    """The door. A nonce is proved by its own MAC; only how often it was used is remembered."""

    def __init__(self, policy: AccessPolicy, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._counts: dict[str, int] = {}

    @property
    def hidden_headers(self) -> frozenset[str]:
        """Name the headers, in lower case, whose values are secrets."""
        header = self._policy.header
        return frozenset(
            {"authorization", "proxy-authorization", *([header[0].lower()] if header else [])}
        )

    def judge(self, request: Request) -> Verdict:
        """Say whether a request may come in."""
        header = self._policy.header
        proof = None
        if header is not None:
            name, value = header
            found = request.get(name)
            if not found:
                return Verdict(status=403, why=f"header {name} is missing")
            if not hmac.compare_digest(_bytes(found), _bytes(value)):
                return Verdict(status=403, why=f"header {name} has another value")
            proof = "header"
        return self._digest(request) if self._policy.digest else Verdict(proof=proof)

    def _digest(self, request: Request) -> Verdict:
        algorithm = self._policy.digest_algorithm
        problem, is_stale = self._problem(request)
        if not problem:
            return Verdict(proof=f"digest {algorithm}")
        stale = ", stale=true" if is_stale else ""
        challenge = (
            f'Digest realm="{REALM}", nonce="{self._nonce()}", qop="auth", '
            f"algorithm={algorithm}{stale}"
        )
        status, name = (407, "Proxy") if self._policy.as_proxy else (401, "WWW")
        header = (f"{name}-Authenticate", challenge)
        return Verdict(status=status, why=problem, headers=(header,))

    def _problem(self, request: Request) -> tuple[str, bool]:
        """Return what is wrong with the credentials, and whether a new nonce would mend it."""
        name = "Proxy-Authorization" if self._policy.as_proxy else "Authorization"
        fields = _credentials(request, name)
        algorithm = self._policy.digest_algorithm
        if not fields:
            return "no credentials", False
        if fields.get("realm") != REALM or fields.get("qop") != "auth":
            return "other realm or qop than in the challenge", False
        if fields.get("algorithm", "MD5").upper() != algorithm:
            return "other algorithm than in the challenge", False
        if fields.get("username") != self._policy.digest.partition(":")[0]:
            return "unknown user", False
        expected = digest_response(algorithm, self._policy.digest, request.method, fields)
        if not hmac.compare_digest(_bytes(expected), _bytes(fields.get("response", "").lower())):
            return "wrong response", False
        # RFC 3261 §22.4, item 8: only who knows the password is told that the nonce is stale.
        return self._nonce_problem(fields.get("nonce", ""), fields.get("nc", "")), True

    def _nonce(self) -> str:
        born = f"{self._clock() * 1000:.0f}.{secrets.token_hex(4)}"
        return f"{born}.{self._mac(born)}"

    def _mac(self, born: str) -> str:
        return hmac.new(self._key, born.encode(), hashlib.sha256).hexdigest()[:32]

    def _nonce_problem(self, nonce: str, count: str) -> str:
        born, _, mac = nonce.rpartition(".")
        if not hmac.compare_digest(_bytes(mac), self._mac(born).encode()):
            return "the nonce is none of ours"
        if self._is_old(nonce):
            return "stale nonce"
        try:
            number = int(count, 16)
        except ValueError:
            number = 0
        if number <= self._counts.get(nonce, 0):
            return "nc did not rise"
        if len(self._counts) >= _COUNTS_MAX:
            self._counts = {old: n for old, n in self._counts.items() if not self._is_old(old)}
        self._counts[nonce] = number
        return ""

    def _is_old(self, nonce: str) -> bool:
        age_s = self._clock() - int(nonce.partition(".")[0]) / 1000
        return age_s > self._policy.nonce_lifetime_s


def _bytes(text: str) -> bytes:
    # As the message was read: not every byte of a peer is UTF-8.
    return text.encode("utf-8", "surrogateescape")


def _credentials(request: Request, header: str) -> dict[str, str]:
    for value in request.all(header):
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "digest":
            pairs = (part.partition("=") for part in split_outside(rest, ","))
            return {name.strip().lower(): unquote(text.strip()) for name, _, text in pairs}
    return {}
