"""A recorder with a call, as a controller holds it, and a real rtpengine's call behind it."""

import secrets
import select
import time
from collections.abc import Callable

from rtpengine_ng.client import NgSocket
from siprec import events as e
from siprec.connector import Connector
from siprec.inbox import CallAnswered
from siprec.model import Call, Leg, Party, Stream, StreamOrder, callee_media_tag
from siprec.recorder import Choice, Recorder
from siprec.settings import LimitSettings
from siprec.sids import make_stream_sid, shard_of_sid
from siprec_kemi.src.forks import Forks
from siprec_web.overrides import url_fault
from tests.rtpengine.media import AnsweredCall, RtpEndpoint
from tests.siprec.streams import ACCOUNT_SID, CALL_SID, FORK_OFFERED, answered

WITHIN_S = 5.0
SHARD = shard_of_sid(CALL_SID)


def proxied_call(ng: tuple[str, int], call_id: str) -> AnsweredCall:
    """Anchor an answered call in rtpengine as the proxy does: the callee has a tag of its own."""
    callee = RtpEndpoint("callee", ssrc=0xB)
    callee.tag = callee_media_tag(CALL_SID)
    return AnsweredCall(ng, call_id, callee=callee)


def call_of(media: AnsweredCall, answered_ms: int) -> Call:
    """Give the record of a call that rtpengine anchors."""
    return Call(
        sid=CALL_SID,
        account_sid=ACCOUNT_SID,
        sip_call_id=media.call_id,
        caller=Party(tag=media.caller.tag),
        callee=Party(tag="tag-callee"),
        rtpengine=f"{media.ng[0]}:{media.ng[1]}",
        answered_ms=answered_ms,
    )


class Recording:
    """A recorder whose one call has a stream toward all SRSs of a connector, or the first."""

    def __init__(self, call: Call, connector: Connector, now_ms: int) -> None:
        self.recorder = Recorder(LimitSettings(), lambda n: secrets.token_hex(n)[:n], url_fault)
        self.sid = make_stream_sid(call.sid, 1)
        choice = Choice(connector, tuple(srs.uri for srs in connector.srs))
        order = StreamOrder(connector_name=connector.name)
        entry = CallAnswered(call=call, orders=(order,))
        self.recorder.apply(SHARD, entry, lambda *_: choice, now_ms)

    @property
    def stream(self) -> Stream:
        """Give the stream as it is now."""
        stream = self.recorder.stream(self.sid)
        assert stream is not None
        return stream

    def leg(self, number: int = 1) -> Leg:
        """Give a leg of it as it is now."""
        leg = self.stream.leg(number)
        assert leg is not None
        return leg

    def happen(self, now_ms: int, *events: e.LegEvent, leg: int = 1) -> None:
        """Let events happen to a leg."""
        for event in events:
            self.recorder.happen_to_leg(self.sid, leg, event, now_ms)

    def record(self, now_ms: int, leg: int = 1) -> None:
        """Let a leg come to record."""
        self.happen(now_ms, FORK_OFFERED, answered(leg=leg), e.ForkAnswered(), leg=leg)

    def events(self) -> list[e.LegEvent]:
        """Give what happened to legs since the last time."""
        happened = [event for _, event, _ in self.recorder.take_changes().transitions]
        return [each.event for each in happened if isinstance(each, e.LegHappened)]


class NgLoop:
    """The sockets of `Forks`, read as a controller does."""

    def __init__(self) -> None:
        self.sockets: list[NgSocket] = []

    def until(self, forks: Forks, is_done: Callable[[], object]) -> None:
        """Turn until something is so."""
        give_up_s = time.monotonic() + WITHIN_S
        while not is_done():
            assert time.monotonic() < give_up_s, "it does not come about"
            readable, _, _ = select.select(self.sockets, [], [], 0.05)
            for socket in readable:
                forks.take(socket.receive())
            forks.tick()

    def close(self) -> None:
        """Close the sockets."""
        for socket in self.sockets:
            socket.close()


def send_rtcp(recorder: RtpEndpoint, offer_sdp: str, line: int = 0) -> None:
    """Let a recorder send an RTCP receiver report for an m-line of what it was offered."""
    ports = [each for each in offer_sdp.splitlines() if each.startswith("a=rtcp:")]
    port = int(ports[line].removeprefix("a=rtcp:").split()[0])
    report = bytes([0x80, 201, 0, 1, 0, 0, 0, 7])
    recorder.socket.sendto(report, ("127.0.0.1", port))
