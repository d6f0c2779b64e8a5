"""Sessions of people who signed in to the console. They live in Redis, under a hash of their id."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from siprec.account_store import AccountStore
from siprec.accounts import Account, ApiKey, Login, Scope, judge_login
from siprec.keys import console_session_key
from siprec.record import from_json, to_json
from siprec.redis_client import Client, redis_errors

IDLE_MS = 30 * 60_000
LONGEST_MS = 12 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who signed in. `proof` is a hash of the token or key, so that a session ends with it.

    `csrf` must come with each request that changes something.
    """

    by: str
    proof: str
    csrf: str
    created_ms: int


class Sessions:
    """Opens, finds and ends sessions. Thread-safe as the client is."""

    def __init__(self, client: Client, prefix: str, accounts: AccountStore) -> None:
        self._redis = client
        self._prefix = prefix
        self._accounts = accounts

    def open(self, name: str, password: str, now_ms: int) -> tuple[str, Session] | None:
        """Sign in; give the session's id, which only the browser keeps, and the session.

        Raises:
            StoreUnavailable, RecordError.
        """
        found = self._accounts.who(name)
        if judge_login(found, password) is None or found is None:
            return None
        session = Session(
            by=found.sid, proof=_proof(found), csrf=secrets.token_hex(16), created_ms=now_ms
        )
        session_id = secrets.token_urlsafe(32)
        with redis_errors():
            self._redis.set(self._key(session_id), to_json(session), px=IDLE_MS)
        return session_id, session

    def find(
        self, session_id: str, now_ms: int, *, is_used: bool = True
    ) -> tuple[Session, Login] | None:
        """Give a session that is not over; `is_used` lets it live on for IDLE_MS.

        Raises:
            StoreUnavailable, RecordError.
        """
        if not session_id:
            return None
        key = self._key(session_id)
        with redis_errors():
            text = self._redis.get(key)
        if text is None:
            return None
        session = from_json(Session, text)
        left_ms = session.created_ms + LONGEST_MS - now_ms
        found = self._accounts.who(session.by)
        is_same = found is not None and hmac.compare_digest(_proof(found), session.proof)
        if found is None or not is_same or left_ms <= 0:
            self.end(session_id)
            return None
        if is_used:
            with redis_errors():
                self._redis.pexpire(key, min(IDLE_MS, left_ms))
        return session, _login(found)

    def end(self, session_id: str) -> None:
        """Sign out."""
        with redis_errors():
            self._redis.delete(self._key(session_id))

    def _key(self, session_id: str) -> str:
        digest = hashlib.sha256(session_id.encode("utf-8", "surrogateescape")).hexdigest()
        return console_session_key(self._prefix, digest)


def _proof(found: Account | ApiKey) -> str:
    secret = found.token if isinstance(found, Account) else found.digest
    return hashlib.sha256(f"console {found.sid} {secret}".encode()).hexdigest()


def _login(found: Account | ApiKey) -> Login:
    if isinstance(found, Account):
        return Login(account_sid=found.sid, scope=Scope.ADMIN, by=found.sid)
    return Login(account_sid=found.account_sid, scope=found.scope, by=found.sid)
