"""Names of the Redis keys; docs/redis.md tells type, fields and life of each.

All keys of a shard share the hash tag `{sNN}`, so that one script may write them all, in
Redis Cluster too.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """The keys of one shard under a prefix."""

    prefix: str
    shard: int

    @property
    def _tag(self) -> str:
        return f"{self.prefix}{{s{self.shard:02x}}}:"

    @property
    def inbox(self) -> str:
        """Redis Stream: what happened to calls of this shard, and orders for them."""
        return self._tag + "inbox"

    @property
    def cursor(self) -> str:
        """String: id of the last inbox entry whose effect is saved."""
        return self._tag + "cursor"

    @property
    def lease(self) -> str:
        """String with expiry: the controller that owns the shard."""
        return self._tag + "lease"

    @property
    def epoch(self) -> str:
        """String: how often the shard changed hands; every save checks it."""
        return self._tag + "epoch"

    @property
    def live(self) -> str:
        """Set: sids of calls that are live or have a stream that is not final."""
        return self._tag + "live"

    @property
    def ended(self) -> str:
        """Sorted set: sids of calls that ended, by end time in ms."""
        return self._tag + "ended"

    @property
    def alerts(self) -> str:
        """Redis Stream, bounded: alerts of this shard's calls."""
        return self._tag + "alerts"

    @property
    def events(self) -> str:
        """Redis Stream, bounded: what happened to calls and streams of this shard, for all."""
        return self._tag + "events"

    @property
    def callbacks(self) -> str:
        """Redis Stream: status callbacks that have not been delivered yet."""
        return self._tag + "callbacks"

    @property
    def undelivered(self) -> str:
        """Redis Stream, bounded: status callbacks that were given up."""
        return self._tag + "undelivered"

    def call(self, call_sid: str) -> str:
        """Hash: field `call` is the call, each field `SR…` a stream of it."""
        return self._tag + "call:" + call_sid

    def reply(self, request_id: str) -> str:
        """List of one with expiry: the verdict on an order."""
        return self._tag + "reply:" + request_id

    def request(self, request_id: str) -> str:
        """String with expiry: a command with that request was forwarded to the inbox."""
        return self._tag + "request:" + request_id


def numbers_key(prefix: str) -> str:
    """Hash: number pattern to its document."""
    return prefix + "numbers"


def connectors_key(prefix: str, account_sid: str) -> str:
    """Hash: connector name to connector, of one account."""
    return f"{prefix}connectors:{account_sid}"


def accounts_key(prefix: str) -> str:
    """Set: sids of the accounts that have, or had, connectors."""
    return prefix + "accounts"


def account_records_key(prefix: str) -> str:
    """Hash: account sid to account."""
    return prefix + "accounts:records"


def api_keys_key(prefix: str) -> str:
    """Hash: sid of an API key to that key, of all accounts."""
    return prefix + "accounts:keys"


def turns_key(prefix: str, account_sid: str) -> str:
    """Hash: connector name to the number of its last turn, of one account."""
    return f"{prefix}turns:{account_sid}"


def health_key(prefix: str) -> str:
    """Hash: name of an SRS (siprec.health.srs_key) to what its health checks showed."""
    return prefix + "health"


def loads_key(prefix: str) -> str:
    """Hash with expiry: controller to its own view of all SRSs."""
    return prefix + "loads"


def actions_key(prefix: str, node: str) -> str:
    """Redis Stream, bounded: what the proxy role of a node is to do."""
    return f"{prefix}actions:{node}"


def relatives_key(prefix: str, name: str) -> str:
    """Hash with expiry: call sid to what those that follow the call need to know of it."""
    return f"{prefix}relatives:{name}"


def callback_worker_key(prefix: str) -> str:
    """String with expiry: the process that sends status callbacks."""
    return prefix + "callback-worker"


def documents_key(prefix: str) -> str:
    """Hash: account and call to the document that the live call follows."""
    return prefix + "{documents}:records"


def documents_due_key(prefix: str) -> str:
    """Sorted set: those documents, by when (ms, Redis clock) somebody is to go on with one."""
    return prefix + "{documents}:due"


def documents_claims_key(prefix: str) -> str:
    """Hash: account and call to the name under which somebody follows the document."""
    return prefix + "{documents}:claims"


def documents_of_key(prefix: str, account_sid: str) -> str:
    """Set: those documents of one account, which may have so many."""
    return f"{prefix}{{documents}}:of:{account_sid}"


def controllers_key(prefix: str) -> str:
    """Sorted set: controllers by the time (ms, Redis clock) until which they count as alive."""
    return prefix + "controllers"


def commands_key(prefix: str) -> str:
    """Redis Stream: commands of operators (siprec.commands) that no controller has read yet."""
    return prefix + "commands"


def contract_key(prefix: str) -> str:
    """String: the version of what docs/redis.md promises to operators."""
    return prefix + "contract"


def console_session_key(prefix: str, digest: str) -> str:
    """String with expiry: a session of the console, by the SHA-256 of its id."""
    return f"{prefix}console:session:{digest}"
