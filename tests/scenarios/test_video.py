"""Calls with video, and recorders that take it, do not take it, or are not to have it."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from siprec.alerts import AlertLevel
from siprec.model import Stream, StreamState
from tests.scenarios.camera import Camera, film
from tests.scenarios.phone import hang_up
from tests.scenarios.polling import poll
from tests.scenarios.renegotiation import change
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import Stage, dial
from tests.scenarios.talk import Talk

pytestmark = pytest.mark.daemon

BAD_ANSWER = 32102


class Call:
    """A call between two phones with cameras, recorded by a recorder of its own."""

    def __init__(self, stage: Stage, opened: ExitStack, *switches: str) -> None:
        self.stage = stage
        self.caller, self.callee = stage.pair()
        self.eyes = (
            opened.enter_context(closing(Camera("alice"))),
            opened.enter_context(closing(Camera("bob"))),
        )
        self._opened = opened
        self.srs: ReferenceSrs = stage.recorder_alone(*switches)

    def begin(self, *options: str, video: bool, uri: str = "") -> Stream:
        """Place the call, with video or without; give its stream when it records."""
        start = self.stage.connect(uri or self.srs.uri, options=options)
        offer, answer = self.caller.sdp(), self.callee.sdp()
        if video:
            offer, answer = self.eyes[0].added_to(offer), self.eyes[1].added_to(answer)
        self.caller.invite(self.stage.number(start, dial(self.callee)), sdp=offer)
        invite = self.callee.expect("INVITE")
        self.callee.reply(invite, 200, "OK", sdp=answer)
        reply = self.caller.expect(200)
        self.caller.ack(reply)
        self.callee.expect("ACK")
        if video:
            self.eyes[0].sees(reply.body)
            self.eyes[1].sees(invite.body)
        return self.stage.wait_recording(self.caller)

    def add_video(self) -> None:
        """Let the caller add video by re-INVITE."""
        offer = self.eyes[0].added_to(self.caller.sdp())
        answer = self.eyes[1].added_to(self.callee.sdp())
        request, reply = change(self.caller, self.callee, offer=offer, reply=answer)
        self.eyes[0].sees(reply.body)
        self.eyes[1].sees(request.body)

    def stream(self) -> Stream:
        """Give the stream as it is now."""
        (stream,) = self.stage.streams(self.caller)
        return stream

    def wait_agreed(self, *labels: str) -> None:
        """Wait until the recorder has agreed to these m-lines, and rtpengine feeds them."""

        def is_so() -> bool:
            leg = self.stream().legs[-1]
            offered = () if leg.offer is None else leg.offer.labels
            is_calm = leg.asked is None and not leg.next_fork and not leg.is_gating
            return is_calm and offered == labels

        poll(is_so, why=lambda: f"{self.stream()}")

    def over(self) -> Session:
        """Hang up; give what the recorder has then."""
        hang_up(self.caller, self.callee)
        return self.stage.wait_recorded(self.caller, srs=self.srs)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Close at the end what a test has opened."""
    with ExitStack() as stack:
        yield stack


def spoken(talking: Talk, session: Session) -> None:
    """Check that both voices are there, and nothing is missing since the recording began."""
    assert talking.lost == ([], [])
    talking.missing([session.track(label).raw for label in ("1", "2")])


@pytest.mark.parametrize("secure", [(), ("--keys-in-clear",)], ids=["plain", "SRTP"])
def test_video_of_a_call_is_recorded_with_its_audio(
    stage: Stage, opened: ExitStack, secure: tuple[str, ...]
) -> None:
    call = Call(stage, opened, "--video")
    uri = f"{call.srs.uri};secure=true;transport=tcp" if secure else call.srs.uri
    call.begin("--video", *secure, video=True, uri=uri)
    call.wait_agreed("1", "2", "3", "4")
    with Talk(call.caller, call.callee) as talking:
        talking.go_on()
        filmed = film(*call.eyes)
        talking.go_on()
    session = call.over()
    spoken(talking, session)
    assert session.labels == ["1", "2", "3", "4"]
    for label, sent in zip(("3", "4"), filmed, strict=True):
        track = session.track(label)
        assert (track.codec, track.raw) == ("VP8", b"".join(sent))
        assert track.aor == session.track(str(int(label) - 2)).aor
        assert bool(track.summary["srtp"]) == bool(secure)
    assert stage.alerts(call.caller) == []


def test_video_that_is_added_is_recorded_from_then_on(stage: Stage, opened: ExitStack) -> None:
    call = Call(stage, opened, "--video")
    call.begin("--video", video=False)
    with Talk(call.caller, call.callee) as talking:
        talking.go_on()
        call.add_video()
        call.wait_agreed("1", "2", "3", "4")
        filmed = film(*call.eyes)
        talking.go_on()
    session = call.over()
    assert talking.lost == ([], [])
    assert [session.track(label).raw for label in ("3", "4")] == [b"".join(s) for s in filmed]
    sent = [(m["source"], m["datamode"]) for m in session.summary["metadata"]]
    assert sent[:2] == [("INVITE", "complete"), ("INVITE", "complete")]
    streams = session.metadata(2).findall("{*}stream")
    assert [stream.findtext("{*}label") for stream in streams] == ["1", "2", "3", "4"]
    assert stage.alerts(call.caller) == []


def test_video_is_not_offered_to_a_recorder_that_is_not_to_have_it(
    stage: Stage, opened: ExitStack
) -> None:
    call = Call(stage, opened, "--video")
    call.begin(video=True)
    with Talk(call.caller, call.callee) as talking:
        talking.go_on()
    session = call.over()
    spoken(talking, session)
    assert session.labels == ["1", "2"]
    assert stage.alerts(call.caller) == []


@pytest.mark.parametrize("begins_with_video", [True, False])
def test_recorder_that_refuses_the_m_lines_of_video_gets_the_audio(
    stage: Stage, opened: ExitStack, begins_with_video: bool
) -> None:
    call = Call(stage, opened)
    call.begin("--video", video=begins_with_video)
    with Talk(call.caller, call.callee) as talking:
        talking.go_on()
        if not begins_with_video:
            call.add_video()
        call.wait_agreed("1", "2", "3", "4")
        film(*call.eyes)
        talking.go_on()
    session = call.over()
    assert talking.lost == ([], [])
    assert [session.track(label).packets for label in ("3", "4")] == [0, 0]
    assert min(session.track(label).packets for label in ("1", "2")) >= 30
    (alert,) = stage.alerts(call.caller)
    assert (alert.code, alert.level) == (BAD_ANSWER, AlertLevel.WARNING)
    assert "refused the m-line of label 3, 4" in alert.text


def test_recorder_that_refuses_to_hear_of_video_gets_the_audio(
    stage: Stage, opened: ExitStack
) -> None:
    call = Call(stage, opened, "--video", "--refuse-reinvite", "488")
    call.begin("--video", video=False)
    with Talk(call.caller, call.callee) as talking:
        talking.go_on()
        call.add_video()
        poll(lambda: call.stream().legs[-1].no_video, why=lambda: f"{call.stream()}")
        film(*call.eyes)
        talking.go_on()
    hang_up(call.caller, call.callee)
    stage.wait_stream(call.caller, StreamState.STOPPED)
    session = stage.wait_session(call.stream(), call.srs)
    spoken(talking, session)
    assert session.labels == ["1", "2"]
    (alert,) = stage.alerts(call.caller)
    assert (alert.code, alert.level) == (BAD_ANSWER, AlertLevel.WARNING)
    assert "does not take the video of the call (answered 488" in alert.text


def test_pause_holds_the_video_of_a_party_back_as_well(stage: Stage, opened: ExitStack) -> None:
    call = Call(stage, opened, "--video")
    stream = call.begin("--video", video=True)
    call.wait_agreed("1", "2", "3", "4")
    before = film(*call.eyes)
    stage.stack.cli("stream", "pause", stream.sid, "--track", "inbound_track", "--wait")
    unseen = film(*call.eyes)
    stage.stack.cli("stream", "resume", stream.sid, "--wait")
    after = film(*call.eyes)
    session = call.over()
    assert session.track("3").raw == b"".join([*before[0], *after[0]])
    assert session.track("4").raw == b"".join([*before[1], *unseen[1], *after[1]])
    assert session.track("3").summary["packets_while_inactive"] == 0


def test_video_that_is_taken_away_and_comes_back_is_told(stage: Stage, opened: ExitStack) -> None:
    call = Call(stage, opened, "--video")
    call.begin("--video", video=True)
    call.wait_agreed("1", "2", "3", "4")
    with Talk(call.caller, call.callee) as talking:
        first = film(*call.eyes)
        offer = call.eyes[0].added_to(call.caller.sdp(), 0)
        answer = call.eyes[1].added_to(call.callee.sdp(), 0)
        change(call.caller, call.callee, offer=offer, reply=answer)
        poll(lambda: not call.stream().picture.has_video, why=lambda: f"{call.stream()}")
        poll(lambda: call.stream().legs[-1].told == call.stream().picture)
        talking.go_on()
        call.add_video()
        poll(lambda: call.stream().picture.has_video, why=lambda: f"{call.stream()}")
        poll(lambda: call.stream().legs[-1].told == call.stream().picture)
        second = film(*call.eyes)
        talking.go_on()
    session = call.over()
    spoken(talking, session)
    assert session.track("3").raw == b"".join([*first[0], *second[0]])
    documents = [session.metadata(n + 1) for n in range(3)]
    sent = [len(document.findall("{*}participantstreamassoc/{*}send")) for document in documents]
    assert sent == [4, 2, 4]
    assert stage.alerts(call.caller) == []
