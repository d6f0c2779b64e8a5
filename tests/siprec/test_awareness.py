"""`a=record` and `a=recordpref` in SDP, and what a call's streams make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.awareness import (
    Indication,
    Preference,
    indication_of,
    is_aware,
    is_heard,
    marked,
    order,
    orders_of,
    preference_in,
    strongest,
)
from siprec.inbox import PauseOrdered, StopOrdered
from siprec.model import Side, Stream, StreamOrder, StreamState, Track
from siprec.sdp import parse
from siprec.sids import make_stream_sid

CALL_SID = "CA00" + "a" * 22 + "0" * 8
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n"
VIDEO = "m=video 4002 RTP/AVP 99\r\n"
BOTH = (Side.CALLER, Side.CALLEE)


def stream(
    ordinal: int = 1,
    state: StreamState = StreamState.RECORDING,
    *,
    paused: tuple[Side, ...] = (),
    track: Track = Track.BOTH,
    is_stopped: bool = False,
) -> Stream:
    return Stream(
        sid=make_stream_sid(CALL_SID, ordinal),
        call_sid=CALL_SID,
        account_sid="AC" + "0" * 32,
        order=StreamOrder(track=track),
        state=state,
        paused=paused,
        is_stopped=is_stopped,
    )


@pytest.mark.parametrize(
    ("supported", "aware"),
    [
        ([], False),
        (["timer, 100rel"], False),
        (["record-aware"], True),
        (["timer", "100rel,Record-Aware ,gruu"], True),
        (["record-awareness"], False),
    ],
)
def test_endpoint_is_aware_when_a_supported_header_says_so(
    supported: list[str], aware: bool
) -> None:
    assert is_aware(supported) is aware


def test_indication_stands_once_before_the_first_media_line() -> None:
    assert marked(HEAD + AUDIO + VIDEO, Indication.ON) == (HEAD + "a=record:on\r\n" + AUDIO + VIDEO)


@pytest.mark.parametrize(
    ("sdp", "expected"),
    [
        (HEAD, HEAD + "a=record:paused\r\n"),
        ("v=0\ns=-\nm=audio 1 RTP/AVP 0\n", "v=0\ns=-\na=record:paused\nm=audio 1 RTP/AVP 0\n"),
        ("v=0\r\ns=-", "v=0\r\ns=-\r\na=record:paused\r\n"),
        ("", "a=record:paused\n"),
    ],
)
def test_indication_keeps_to_the_line_ends_of_the_sdp(sdp: str, expected: str) -> None:
    assert marked(sdp, Indication.PAUSED) == expected


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("off", Indication.ON, "on"),
        ("paused", Indication.ON, "on"),
        ("on", Indication.OFF, "on"),
        ("paused", Indication.OFF, "paused"),
        ("nonsense", Indication.OFF, "off"),
        ("", Indication.PAUSED, "paused"),
    ],
)
def test_indication_of_another_src_is_replaced_by_the_stronger_of_both(
    theirs: str, ours: Indication, said: str
) -> None:
    other = f"a=record:{theirs}\r\n"
    sdp = HEAD + other + AUDIO + other + "a=recordpref:on\r\n"
    mine = HEAD + f"a=record:{said}\r\n" + AUDIO + "a=recordpref:on\r\n"
    assert marked(sdp, ours) == mine
    assert marked(mine, ours) == mine


@given(st.text(alphabet="am=record:onf \n", max_size=200), st.sampled_from(Indication))
def test_indication_is_there_exactly_once_whatever_the_text(text: str, ours: Indication) -> None:
    result = marked(text, ours)
    lines = [line for line in result.split("\n") if line.startswith("a=record:")]
    assert len(lines) == 1
    assert marked(result, Indication.OFF) == result


def test_indication_leaves_an_sdp_that_can_be_read() -> None:
    session = parse(marked(HEAD + AUDIO + VIDEO, Indication.OFF))
    assert session.attribute("record") == "off"
    assert [media.kind for media in session.media] == ["audio", "video"]


@pytest.mark.parametrize(
    ("sdp", "preference"),
    [
        (HEAD + AUDIO, None),
        (HEAD + "a=recordpref:off\r\n" + AUDIO, Preference.OFF),
        (HEAD + AUDIO + "a=recordpref:pause\r\n", Preference.PAUSE),
        (HEAD + "a=recordpref:off\r\n" + AUDIO + "a=recordpref:on\r\n", Preference.ON),
        (HEAD + AUDIO + VIDEO + "a=recordpref:off\r\n", None),
        (HEAD + "a=recordpref:on\r\n" + AUDIO * 2 + "a=recordpref:off\r\n", Preference.OFF),
        (HEAD + "a=recordpref:nopreference\r\n" + AUDIO, Preference.NONE),
        (HEAD + "a=recordpref:never\r\n" + AUDIO, None),
        (HEAD + "a=recordpref:pause\r\n", Preference.PAUSE),
    ],
)
def test_preference_is_that_for_the_audio(sdp: str, preference: Preference | None) -> None:
    assert preference_in(sdp) is preference


def test_preference_that_spares_the_parties_most_wins() -> None:
    assert strongest(None, Preference.ON, Preference.PAUSE) is Preference.PAUSE
    assert strongest(None, None) is None


@pytest.mark.parametrize(
    ("streams", "indication"),
    [
        ([], Indication.OFF),
        ([stream(state=StreamState.STOPPED), stream(state=StreamState.STOPPING)], Indication.OFF),
        ([stream(is_stopped=True)], Indication.OFF),
        ([stream(state=StreamState.FORKING)], Indication.ON),
        ([stream(paused=BOTH)], Indication.PAUSED),
        ([stream(paused=(Side.CALLER,))], Indication.ON),
        ([stream(paused=(Side.CALLER,), track=Track.INBOUND)], Indication.PAUSED),
        ([stream(paused=BOTH), stream()], Indication.ON),
        ([stream(paused=BOTH), stream(state=StreamState.FAILED)], Indication.PAUSED),
    ],
)
def test_indication_of_a_call_follows_its_running_streams(
    streams: list[Stream], indication: Indication
) -> None:
    assert indication_of(streams) is indication


def test_preference_is_ordered_of_running_streams_that_are_otherwise() -> None:
    live, paused = stream(1), stream(2, StreamState.PAUSED, paused=BOTH)
    streams = [live, paused, stream(3, StreamState.FAILED)]
    off = orders_of(Preference.OFF, streams)
    assert [type(each) for each in off] == [StopOrdered, StopOrdered]
    assert [each.stream_sid for each in off] == [live.sid, paused.sid]
    assert orders_of(Preference.PAUSE, streams) == (order(Preference.PAUSE, live.sid),)
    assert orders_of(Preference.ON, streams) == (order(Preference.ON, paused.sid),)
    assert orders_of(Preference.NONE, streams) == ()
    pause, resume = (order(each, live.sid) for each in (Preference.PAUSE, Preference.ON))
    assert isinstance(pause, PauseOrdered)
    assert isinstance(resume, PauseOrdered)
    assert (pause.is_resumed, resume.is_resumed) == (False, True)


@pytest.mark.parametrize(
    ("streams", "heard"),
    [
        ([stream()], True),
        ([stream(state=StreamState.INVITING)], False),
        ([stream(paused=BOTH)], False),
        ([stream(paused=BOTH), stream(paused=(Side.CALLEE,))], True),
    ],
)
def test_call_is_heard_when_a_stream_records_somebody(streams: list[Stream], heard: bool) -> None:
    assert is_heard(streams) is heard
