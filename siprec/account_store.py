"""Accounts and API keys in Redis. Part of `siprec.store.Store`."""

from siprec.accounts import Account, ApiKey, is_account_sid, is_key_sid
from siprec.keys import account_records_key, api_keys_key
from siprec.record import RecordError, from_json, to_json
from siprec.redis_client import Client, redis_errors
from siprec.vault import Vault


class AccountStore:
    """Reads and writes accounts and keys. Few: each list is read as a whole."""

    def __init__(self, client: Client, prefix: str, vault: Vault) -> None:
        self._redis = client
        self._accounts = account_records_key(prefix)
        self._keys = api_keys_key(prefix)
        self._vault = vault

    def put(self, account: Account) -> None:
        """Add or replace an account.

        Raises:
            VaultError: there is no key to seal its token with.
        """
        text = to_json(account, self._vault.seal)
        with redis_errors():
            self._redis.hset(self._accounts, account.sid, text)

    def account(self, sid: str) -> Account | None:
        """Give an account with its token, None when there is none of that sid.

        Raises:
            RecordError: the key to its token is missing.
        """
        with redis_errors():
            text = self._redis.hget(self._accounts, sid)
        return None if text is None else self._read(sid, text)

    def accounts(self) -> list[Account]:
        """List the accounts, oldest first."""
        with redis_errors():
            texts = self._redis.hgetall(self._accounts)
        found = [self._read(sid, text) for sid, text in texts.items()]
        return sorted(found, key=lambda account: (account.created_ms, account.sid))

    def _read(self, sid: str, text: str) -> Account:
        try:
            return from_json(Account, text, self._vault.unseal)
        except RecordError as error:
            raise RecordError(f"account {sid}: {error.field}", error.why) from error

    def delete(self, sid: str) -> bool:
        """Delete an account and its keys; False when there was none."""
        gone = [key.sid for key in self.keys(sid)]
        with redis_errors():
            if gone:
                self._redis.hdel(self._keys, *gone)
            return bool(self._redis.hdel(self._accounts, sid))

    def put_key(self, key: ApiKey) -> None:
        """Add or replace a key."""
        with redis_errors():
            self._redis.hset(self._keys, key.sid, to_json(key))

    def keys(self, account_sid: str) -> list[ApiKey]:
        """List the keys of an account, oldest first."""
        with redis_errors():
            texts = self._redis.hvals(self._keys)
        found = [from_json(ApiKey, text) for text in texts]
        own = [key for key in found if key.account_sid == account_sid]
        return sorted(own, key=lambda key: (key.created_ms, key.sid))

    def delete_key(self, account_sid: str, sid: str) -> bool:
        """Delete a key of an account; False when that has none of that sid."""
        if all(key.sid != sid for key in self.keys(account_sid)):
            return False
        with redis_errors():
            return bool(self._redis.hdel(self._keys, sid))

    def who(self, sid: str) -> Account | ApiKey | None:
        """Give the account or key that logs in under a sid, None when nobody does."""
        if is_account_sid(sid):
            return self.account(sid)
        if not is_key_sid(sid):
            return None
        with redis_errors():
            text = self._redis.hget(self._keys, sid)
        return None if text is None else from_json(ApiKey, text)
