"""Accounts and API keys: who may use the interface of programs, and for what. Pure.

An account logs in with its sid and token; the token also signs what we send to its URLs, so it is
kept sealed. A key logs in with its own sid and secret, of which only a digest is kept, and may do
as much as its scope says.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum

from siprec.model import CallbackMethod
from siprec.record import SECRET

MAX_NAME_CHARS = 64

_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")
_KEY_SID = re.compile(r"SK[0-9a-f]{32}")


class Scope(StrEnum):
    """What somebody may do: look; besides, change calls and streams; besides, change settings."""

    READ = "read"
    CONTROL = "control"
    ADMIN = "admin"

    def covers(self, needed: "Scope") -> bool:
        """Tell whether who has this scope may do what needs that one."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Owns numbers, connectors and calls. `sid` is `AC` + 32 hex.

    Each alert of it is told to `debugger_url`, unless that is empty.
    """

    sid: str
    name: str = ""
    created_ms: int = 0
    debugger_url: str = ""
    debugger_method: CallbackMethod = CallbackMethod.POST
    token: str = field(default="", metadata=SECRET, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Logs in for an account. `sid` is `SK` + 32 hex; `digest` is that of its secret."""

    sid: str
    account_sid: str
    name: str = ""
    scope: Scope = Scope.ADMIN
    created_ms: int = 0
    digest: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who logged in: the account, with which scope, and with which sid (AC… or SK…)."""

    account_sid: str
    scope: Scope
    by: str


def is_account_sid(text: str) -> bool:
    """Tell whether that is the sid of an account."""
    return _ACCOUNT_SID.fullmatch(text) is not None


def is_key_sid(text: str) -> bool:
    """Tell whether that is the sid of an API key."""
    return _KEY_SID.fullmatch(text) is not None


def name_fault(name: str) -> str | None:
    """Say what is wrong with the name of an account or key; None when it is well."""
    if len(name) > MAX_NAME_CHARS:
        return f"is over {MAX_NAME_CHARS} characters"
    return None if name.isprintable() else "must not hold unprintable characters"


def secret_digest(secret: str) -> str:
    """Give what is kept of a key's secret. It is long and random, so a plain hash does."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def judge_login(found: Account | ApiKey | None, password: str) -> Login | None:
    """Say who logs in with that password; None when nobody does.

    It takes as long for a sid that does not exist as for a wrong password.
    """
    if isinstance(found, Account):
        expected = secret_digest(found.token)
    else:
        expected = "" if found is None else found.digest
    is_right = hmac.compare_digest(secret_digest(password), expected or "0" * 64)
    if not is_right or found is None:
        return None
    if isinstance(found, Account):
        return Login(account_sid=found.sid, scope=Scope.ADMIN, by=found.sid)
    return Login(account_sid=found.account_sid, scope=found.scope, by=found.sid)
