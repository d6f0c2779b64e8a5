"""Accounts and keys that begin and end, for the interface and the command line alike."""

import secrets
import time

from siprec.accounts import Account, ApiKey, Scope, secret_digest
from siprec.store import Store


def new_key(account_sid: str, name: str, scope: Scope) -> tuple[ApiKey, str]:
    """Make a key and its secret."""
    secret = secrets.token_hex(16)
    key = ApiKey(
        sid=f"SK{secrets.token_hex(16)}",
        account_sid=account_sid,
        name=name,
        scope=scope,
        created_ms=_now_ms(),
        digest=secret_digest(secret),
    )
    return key, secret


def new_account(name: str) -> Account:
    """Make an account with a token."""
    sid, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    return Account(sid=sid, name=name, created_ms=_now_ms(), token=token)


def delete_fault(store: Store, account: Account, default_sid: str) -> str | None:
    """Say why an account cannot be deleted; None when it can."""
    if account.sid == default_sid:
        return f"{account.sid} is the default account"
    if numbers := store.numbers(account.sid):
        return f"{account.sid} owns {len(numbers)} numbers; delete them first"
    return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
