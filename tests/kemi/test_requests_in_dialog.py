"""What is told in the dialog with an SRS: pauses, changes, snapshots, refreshes, the end."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.connector import MetadataBy
from siprec.model import Call, Leg, Picture, Plan, Stream, StreamState, Timer
from siprec.multipart import parse
from siprec_kemi.src import requests
from siprec_kemi.src.requests import Outgoing
from tests.kemi.composed import CALL, HOP, ORDER, PLAIN, bye, headers_of, invite, leg_in, stream_in
from tests.siprec.pauses import GATE_SET, PAUSE_CALLER
from tests.siprec.streams import (
    FORK_OFFERED,
    LATER_MS,
    NOW_MS,
    OFFER,
    PATHS,
    PLAN,
    answered,
    begun,
    follow,
    on_leg,
)

# While somebody paused


def paused_leg(*events: e.Event | e.LegEvent) -> Leg:
    """Give a leg whose re-INVITE is to be sent after these events."""
    return follow(stream_in(StreamState.RECORDING), events).stream.legs[0]


def test_reinvite_goes_on_in_the_dialog_with_sdp_and_metadata_as_they_are_now() -> None:
    leg = paused_leg(PAUSE_CALLER, GATE_SET)
    request = invite(leg)
    headers = headers_of(request)
    assert (headers["CSeq"], headers["Call-ID"]) == ("2 INVITE", leg.call_id)
    assert headers["To"].endswith(";tag=srs1")
    assert headers["Route"] == "<sip:192.0.2.1;lr>"
    assert request.uri == "sip:192.0.2.9:5080"
    assert (headers["Require"], headers["Contact"][-9:]) == ("siprec", ";+sip.src")
    sdp, metadata = parse(request.body.encode(), headers["Content-Type"])
    assert leg.offer is not None
    assert sdp.body.decode() == leg.offer.sdp
    assert sdp.body.count(b"a=inactive") == 1
    # Only what has changed: labels and parameters were told at the beginning.
    assert b"<datamode>partial" in metadata.body
    assert (metadata.body.count(b"<send>"), metadata.body.count(b"<label>")) == (1, 0)
    assert request.risky_headers == ()
    assert b"X-Case" not in metadata.body


# What else is told in the dialog


def asking(*events: e.LegEvent | e.Event, plan: Plan = PLAN) -> tuple[Stream, Leg]:
    """Give a stream and its leg whose request is to be sent after these events."""
    stream = follow(begun(ORDER, plan).stream, PATHS[StreamState.RECORDING]).stream
    stream = follow(stream, events, LATER_MS).stream
    return stream, stream.legs[0]


def sent(stream: Stream, leg: Leg, call: Call = CALL) -> Outgoing:
    by_update = leg.asked is not None and leg.asked.by_update
    write = requests.update if by_update else requests.invite
    return write(call, stream, leg, PLAIN, HOP, LATER_MS)


HELD = e.Pictured(picture=Picture(quiet=("2",)))
BY_UPDATE = replace(PLAN, metadata_by=MetadataBy.UPDATE)


def test_full_snapshot_has_labels_and_parameters_again() -> None:
    request = sent(*asking(*on_leg(1, e.SnapshotRequested())))
    _, metadata = parse(request.body.encode(), headers_of(request)["Content-Type"])
    assert b"<datamode>complete" in metadata.body
    assert b"X-Case" in metadata.body


def test_change_by_update_is_metadata_without_sdp() -> None:
    request = sent(*asking(HELD, plan=BY_UPDATE))
    headers = headers_of(request)
    assert (request.method, headers["CSeq"]) == ("UPDATE", "2 UPDATE")
    assert headers["Contact"].endswith(";+sip.src")
    assert headers["Content-Type"] == "application/rs-metadata+xml"
    assert headers["Content-Disposition"] == "recording-session"
    assert request.body.count("<send>") == 1


def refresh(plan: Plan) -> Outgoing:
    timed = replace(plan, session_s=600)
    stream = follow(begun(ORDER, timed).stream, PATHS[StreamState.RECORDING]).stream
    assert stream.deadline_ms is not None
    stream = follow(stream, [e.DeadlinePassed()], stream.deadline_ms).stream
    return sent(stream, stream.legs[0])


def test_refresh_by_reinvite_is_sdp_alone() -> None:
    request = refresh(PLAN)
    headers = headers_of(request)
    assert (headers["Content-Type"], request.body) == ("application/sdp", OFFER.sdp)
    assert headers["Session-Expires"] == "600;refresher=uac"


def test_refresh_by_update_has_no_body() -> None:
    request = refresh(BY_UPDATE)
    headers = headers_of(request)
    assert (request.method, request.body) == ("UPDATE", "")
    assert "Content-Type" not in headers
    assert headers["Session-Expires"] == "600;refresher=uac"


@pytest.mark.parametrize(
    ("session_s", "min_se_s", "expected"),
    [
        (0, 0, {}),
        (0, 900, {}),
        (600, 0, {"Supported": "timer", "Session-Expires": "600"}),
        (600, 900, {"Supported": "timer", "Session-Expires": "900", "Min-SE": "900"}),
    ],
)
def test_invite_asks_for_the_session_timer_of_the_plan(
    session_s: int, min_se_s: int, expected: dict[str, str]
) -> None:
    stream = follow(begun(ORDER, replace(PLAN, session_s=session_s)).stream, [FORK_OFFERED]).stream
    leg = replace(stream.legs[0], min_se_s=min_se_s)
    headers = headers_of(requests.invite(CALL, stream, leg, PLAIN, HOP, NOW_MS))
    names = ("Supported", "Session-Expires", "Min-SE")
    assert {name: headers[name] for name in names if name in headers} == expected


def test_refresh_of_a_session_that_the_srs_refreshes_says_so() -> None:
    stream, leg = asking(HELD, plan=replace(PLAN, session_s=600))
    leg = replace(leg, timer=Timer(interval_s=90, is_ours=False))
    assert headers_of(sent(stream, leg))["Session-Expires"] == "600;refresher=uas"


def test_late_answer_is_acknowledged_with_the_number_of_its_invite() -> None:
    late = requests.late_leg(leg_in(StreamState.INVITING), answered(), "call")
    ack = requests.ack_to_late_answer(late, PLAIN, HOP)
    goodbye = requests.bye_to_late_answer(late, PLAIN, HOP)
    assert [headers_of(each)["CSeq"] for each in (ack, goodbye)] == ["1 ACK", "2 BYE"]


def test_bye_while_on_hold_lists_only_who_was_still_heard() -> None:
    stream, leg = asking(HELD)
    request = requests.bye(CALL, stream, leg, PLAIN, HOP, LATER_MS)
    assert request.body.count("<send>") == 1


def test_bye_while_paused_lists_only_who_was_still_heard() -> None:
    leg = replace(leg_in(StreamState.STOPPING), muted=("1",))
    assert bye(leg).body.count("<send>") == 1
    assert bye().body.count("<send>") == 2
