"""Orders to controllers, which are waited for, and to the proxy role, which are not."""

import secrets

from siprec import actions
from siprec.actions import Action
from siprec.inbox import Entry, PauseOrdered, StartOrdered, StopOrdered, to_fields
from siprec.keys import ShardKeys, actions_key
from siprec.model import StreamOrder, Track
from siprec.record import from_json
from siprec.redis_client import Client, redis_errors
from siprec.sids import call_sid_of, shard_of_sid
from siprec.vault import Vault
from siprec.verdict import Verdict

ACTIONS_KEPT = 1_000


class NoVerdict(RuntimeError):
    """No controller answered an order in time: the SRC role may be down."""


class OrderStore:
    """The orders of a store. `Store.orders` is one."""

    def __init__(self, client: Client, prefix: str, vault: Vault) -> None:
        self._redis = client
        self._prefix = prefix
        self._seal = vault.seal

    def start(self, call_sid: str, order: StreamOrder, timeout_s: float = 5.0) -> Verdict:
        """Ask for a stream on a live call and wait until it is accepted or refused.

        Raises:
            SidError, NoVerdict, StoreUnavailable.
        """
        request_id = secrets.token_hex(16)
        entry = StartOrdered(request_id=request_id, call_sid=call_sid, order=order)
        return self._order(shard_of_sid(call_sid), request_id, entry, timeout_s)

    def stop(self, stream_sid: str, timeout_s: float = 5.0) -> Verdict:
        """Ask for the end of a stream and wait until that is accepted or refused.

        Raises:
            SidError, NoVerdict, StoreUnavailable.
        """
        shard = shard_of_sid(call_sid_of(stream_sid))
        request_id = secrets.token_hex(16)
        entry = StopOrdered(request_id=request_id, stream_sid=stream_sid)
        return self._order(shard, request_id, entry, timeout_s)

    def pause(
        self,
        stream_sid: str,
        track: Track = Track.BOTH,
        *,
        is_resumed: bool = False,
        timeout_s: float = 5.0,
    ) -> Verdict:
        """Ask for a pause of a stream, or for its end; wait until that is accepted or refused.

        `track` says whose voice: of a party that the stream does not carry nothing changes.

        Raises:
            SidError, NoVerdict, StoreUnavailable.
        """
        shard = shard_of_sid(call_sid_of(stream_sid))
        request_id = secrets.token_hex(16)
        entry = PauseOrdered(
            request_id=request_id, stream_sid=stream_sid, track=track, is_resumed=is_resumed
        )
        return self._order(shard, request_id, entry, timeout_s)

    def action(self, node: str, action: Action) -> None:
        """Tell the proxy role of a node to do something. It does so soon, or never if it is down.

        The oldest that nobody read are dropped.

        Raises:
            StoreUnavailable.
        """
        with redis_errors():
            self._redis.xadd(
                actions_key(self._prefix, node),
                actions.to_fields(action),
                maxlen=ACTIONS_KEPT,
                approximate=True,
            )

    def _order(self, shard: int, request_id: str, entry: Entry, timeout_s: float) -> Verdict:
        keys = ShardKeys(self._prefix, shard)
        with redis_errors():
            entry_id = self._redis.xadd(keys.inbox, to_fields(entry, self._seal))
            popped = self._redis.blpop([keys.reply(request_id)], timeout=timeout_s)
            if popped is None:
                # Who is told that nothing came of it orders again: it must not happen later.
                self._redis.xdel(keys.inbox, entry_id)
        if popped is None:
            raise NoVerdict(f"no controller answered within {timeout_s:g} s")
        return from_json(Verdict, popped[1])
