"""Call flows of RFC 8068, section 3.2: what the SRS is told at each step, and all of it."""

import time
from uuid import uuid4

import pytest

from siprec.inbox import CallChanged
from siprec.model import Call, Party, Side, Stream
from siprec.shard_store import ShardStore
from siprec.sids import shard_of_sid
from siprec.sip_uri import aor
from siprec.store import connect
from siprec.vault import Vault
from tests.scenarios.flow_metadata import flow, golden
from tests.scenarios.polling import poll
from tests.scenarios.studio import SpokenCall, Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]


def parties(call: Call) -> dict[str, str]:
    """Name the two of a call."""
    return {aor(call.caller.uri): "sip:ann", aor(call.callee.uri): "sip:bob"}


def test_basic_call_is_told_in_full_by_the_invite(studio: Studio) -> None:
    call = studio.call("both-tracks")
    stream = call.recording("both")
    studio.hear(stream, 0.5)
    session = studio.srs.session_of(stream.sid)
    assert session is not None
    assert flow(parties(call.call()), session) == golden("basic")
    call.hang_up()
    studio.session(stream)


def test_end_of_the_call_is_told_by_the_bye(studio: Studio) -> None:
    call = studio.call("both-tracks")
    stream = call.recording("both")
    studio.hear(stream, 0.5)
    call.hang_up()
    session = studio.session(stream)
    assert flow(parties(call.call()), session) == golden("end")
    told = session.summary["metadata_history"][-1]
    assert all(each["stop"] for each in told["sessions"].values())
    assert [each["disassociated"] is None for each in told["participants"].values()] == [False] * 2


# A call that changes


CAROL = Party(name="Carol", uri="sip:carol@127.0.0.1")


class Changing:
    """A recorded call whose changes are reported as the proxy does it."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._call: SpokenCall = studio.call("both-tracks")
        self._stream: Stream = self._call.recording("both")
        self._told = 1
        self.sid = self._call.call().sid
        self.parties = parties(self._call.call()) | {CAROL.uri: "sip:carol"}
        studio.hear(self._stream, 0.5)

    def report(self, change: CallChanged) -> None:
        """Report a change, and wait until the SRS was told of it."""
        runtime = self._studio.stack.runtime
        redis = runtime.settings.redis
        client = connect(redis.url or "", timeout_s=5)
        try:
            vault = Vault.from_runtime(runtime)
            inboxes = ShardStore(client, redis.prefix, "proxy", vault)
            inboxes.append([(shard_of_sid(self.sid), change)])
        finally:
            client.close()
        self._told += 1
        poll(self._is_told, why=lambda: str(self._studio.srs.session_of(self._stream.sid)))

    def _is_told(self) -> bool:
        session = self._studio.srs.session_of(self._stream.sid)
        return session is not None and len(session.summary["metadata_history"]) == self._told

    def over(self) -> str:
        """Hang up; give all that the SRS was told."""
        self._call.hang_up()
        assert self._call.alerts() == []
        return flow(self.parties, self._studio.session(self._stream))


def now_ms() -> int:
    return int(time.time() * 1000)


def test_hold_and_its_end_are_told_by_who_sends_and_receives(studio: Studio) -> None:
    call = Changing(studio)
    call.report(CallChanged(call_sid=call.sid, at_ms=now_ms(), quiet=(Side.CALLEE,)))
    call.report(CallChanged(call_sid=call.sid, at_ms=now_ms(), quiet=()))
    assert call.over() == golden("hold")


def test_transfer_by_reinvite_is_told_as_another_participant_of_the_session(
    studio: Studio,
) -> None:
    call = Changing(studio)
    # Ann's half, then that of Carol's phone (RFC 7989).
    pair = f"{uuid4().hex};remote={uuid4().hex}"
    change = CallChanged(call_sid=call.sid, at_ms=now_ms(), callee=CAROL, session_id=pair)
    call.report(change)
    assert call.over() == golden("transfer")
