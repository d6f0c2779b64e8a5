"""Actions: what controllers ask of this node's proxy role, done by a process of its own."""

from time import sleep
from typing import Any

from siprec.actions import Action, EndCall, from_fields
from siprec.inbox import CallHungUp, CallNotEnded
from siprec.keys import actions_key
from siprec.record import RecordError
from siprec.shard_store import ShardStore
from siprec.sids import shard_of_sid
from siprec.store import Client, StoreUnavailable, connect, redis_errors
from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.clock import monotonic_s, now_ms
from siprec_kemi.ksr_proxy import DialogState
from siprec_kemi.proxy.cancelled import cancel
from siprec_kemi.proxy.farewell import LOST, ORDERED, Farewell, farewells

BLOCK_MS = 1_000
REDIS_TIMEOUT_S = 3.0
RETRY_S = 0.5
COUNT = 100
# Who ends a call later than that would surprise people who have long begun to talk again.
WANTED_MS = 60_000
# A callee that takes no CANCEL is given up by tm after 32 s.
CANCEL_S = 40.0
CANCEL_POLL_MS = 100


def serve_actions(redis_url: str, prefix: str, node: str) -> None:
    """Do what is asked, for ever. Runs in a process of its own."""
    actions = Actions(connect(redis_url, timeout_s=REDIS_TIMEOUT_S), prefix, node)
    while True:
        if not actions.turn():
            sleep(RETRY_S)


class Actions:
    """The reader of the node's action Stream."""

    def __init__(self, client: Client, prefix: str, node: str) -> None:
        self._client = client
        self._key = actions_key(prefix, node)
        self._inboxes = ShardStore(client, prefix, "actions")
        self._after = ""
        self._cancelling: list[tuple[float, EndCall]] = []

    def turn(self) -> bool:
        """Wait for entries for BLOCK_MS and carry them out; False when Redis is away."""
        try:
            for entry_id, fields in self._read():
                self._take(entry_id, fields)
                # Not before: what could not be told is done again.
                self._after = entry_id
            self._see_cancelled()
        except StoreUnavailable as error:
            ksr.log("warning", f"actions wait: {error}")
            return False
        return True

    def _read(self) -> list[tuple[str, dict[str, str]]]:
        block_ms = CANCEL_POLL_MS if self._cancelling else BLOCK_MS
        with redis_errors():
            # By Redis's clock, which also made the ids: those of several nodes may differ.
            seconds, _ = self._client.time()
            oldest = f"{seconds * 1000 - WANTED_MS}-0"
            after = max(self._after, oldest, key=_position)
            reply: Any = self._client.xread({self._key: after}, count=COUNT, block=block_ms)
        return [entry for _, entries in reply for entry in entries]

    def _take(self, entry_id: str, fields: dict[str, str]) -> None:
        try:
            self._do(from_fields(fields))
        except (RecordError, KeyError, ValueError) as error:
            ksr.log("error", f"action {entry_id} is not understood: {error!r}")

    def _do(self, action: Action) -> None:
        if not self._end(action):
            self._cancelling.append((monotonic_s() + CANCEL_S, action))

    def _see_cancelled(self) -> None:
        """See calls that were cancelled end, or be answered all the same."""
        waiting, self._cancelling = self._cancelling, []
        for until_s, action in waiting:
            if self._is_known(action) and not self._end(action):
                if monotonic_s() < until_s:
                    self._cancelling.append((until_s, action))
                else:
                    self._not_ended(action, "it rings on")

    def _is_known(self, action: EndCall) -> bool:
        return ksr_proxy.tracked_dialog(*_tags(action)) is not None

    def _end(self, action: EndCall) -> bool:
        """End a call; False: it is cancelled, and may be answered all the same."""
        tags = _tags(action)
        tracked = ksr_proxy.tracked_dialog(*tags)
        if tracked is None:
            # Kamailio knows dialogs while it lives itself.
            self._not_ended(action, "it is over, or older than its proxy")
            return True
        state, dialog = tracked
        if state is DialogState.EARLY:
            cancel(action.sip_call_id, action.from_tag, dialog["caller"]["cseq"])
            return False
        if state is DialogState.ANSWERED:
            reason = ORDERED if action.is_ordered else LOST
            sent = [_send(farewell) for farewell in farewells(dialog, reason)]
            ksr_proxy.forget_dialog(*tags[:2], dialog["callee"]["tag"])
            if not all(sent):
                self._not_ended(action, f"{sum(sent)} of 2 BYEs could be sent")
                return True
            ksr.log("info", f"{action.call_sid} ended, both BYEs sent: {action.reason}")
        over = CallHungUp(call_sid=action.call_sid, at_ms=now_ms())
        self._inboxes.append([(shard_of_sid(action.call_sid), over)])
        return True

    def _not_ended(self, action: EndCall, why: str) -> None:
        """Let people know of a call that goes on unrecorded."""
        text = f"the call could not be ended ({why}): {action.reason}"
        ksr.log("warning", f"{action.call_sid}: {text}")
        entry = CallNotEnded(call_sid=action.call_sid, account_sid=action.account_sid, text=text)
        self._inboxes.append([(shard_of_sid(action.call_sid), entry)])


def _tags(action: EndCall) -> tuple[str, str, str]:
    return action.sip_call_id, action.from_tag, action.to_tag


def _send(farewell: Farewell) -> bool:
    return ksr.send_request(
        method="BYE",
        uri=farewell.uri,
        next_hop=farewell.next_hop,
        socket=farewell.socket,
        headers=farewell.headers,
        body="",
    )


def _position(entry_id: str) -> tuple[int, int]:
    """Order the ids of a Redis Stream."""
    ms, _, number = entry_id.partition("-")
    return int(ms or 0), int(number or 0)
