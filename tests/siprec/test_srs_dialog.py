"""What messages of the SRS mean, and how its requests are answered."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.inbox import SrsReplied
from siprec.model import Stream, StreamState, Timer
from siprec.srs_dialog import ALLOW, answer_request, event_of, tells_error
from tests.siprec.pauses import asked
from tests.siprec.srs_messages import LEG, RECORDING, REPLY, REQUEST, SDP
from tests.siprec.streams import OFFER, STREAM_SID, answer_sdp, stream_in

# Replies


def test_2xx_to_invite_carries_the_dialog_with_routes_reversed() -> None:
    assert event_of(REPLY) == e.SrsAnswered(
        attempt=1,
        from_tag="ours",
        to_tag="theirs",
        cseq=1,
        remote_target="sip:srs@192.0.2.9:5080;transport=tcp",
        route_set=("<sip:far;lr>", "<sip:near;lr>"),
        sdp=answer_sdp(4000),
    )


@pytest.mark.parametrize("contact", ["", "<garbage", "<http://srs>"])
def test_2xx_without_a_usable_contact_has_no_remote_target(contact: str) -> None:
    event = event_of(replace(REPLY, contact=contact))
    assert isinstance(event, e.SrsAnswered)
    assert event.remote_target == ""


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", ""),
        ("text/plain", "v=0"),
        ("multipart/mixed;boundary=x", "no parts"),
        ("multipart/mixed", ""),
    ],
)
def test_2xx_without_sdp_is_an_answer_without_sdp(content_type: str, body: str) -> None:
    event = event_of(replace(REPLY, content_type=content_type, body=body))
    assert isinstance(event, e.SrsAnswered)
    assert event.sdp is None


def test_2xx_with_bytes_that_are_no_utf8_is_read() -> None:
    event = event_of(replace(REPLY, body=answer_sdp(4000) + "a=x:\udcff\r\n"))
    assert isinstance(event, e.SrsAnswered)
    assert event.sdp is not None


def test_refusal_carries_status_reason_and_contact() -> None:
    reply = replace(REPLY, status=302, reason="Moved", contact="<sip:b.example>")
    assert event_of(reply) == e.SrsRefused(
        attempt=1,
        status=302,
        reason="Moved",
        contact="sip:b.example",
        challenge=e.Challenge(cseq=1),
    )


@pytest.mark.parametrize("status", [401, 407])
def test_challenge_carries_its_lines_and_what_it_challenges(status: int) -> None:
    lines = ('WWW-Authenticate: Digest realm="r", nonce="n"',)
    challenged = replace(REPLY, status=status, challenges=lines, cseq=5)
    challenge = e.Challenge(lines=lines, cseq=5)
    invite = event_of(challenged)
    assert isinstance(invite, e.SrsRefused)
    assert invite.challenge == challenge
    bye = event_of(replace(challenged, method="BYE"))
    assert bye == e.SrsByeAnswered(attempt=1, status=status, challenge=challenge)


def test_timeout_reads_as_no_answer() -> None:
    reply = replace(REPLY, status=408, reason="", is_timeout=True, contact="")
    challenge = e.Challenge(cseq=1)
    assert event_of(reply) == e.SrsRefused(
        attempt=1, status=408, reason="no answer", is_timeout=True, challenge=challenge
    )


def test_reply_to_bye_names_its_attempt() -> None:
    reply = replace(REPLY, call_id=f"{STREAM_SID}-2-3", method="BYE", status=481)
    challenge = e.Challenge(cseq=1)
    assert event_of(reply) == e.SrsByeAnswered(attempt=3, status=481, challenge=challenge)


def test_reply_to_options_names_its_attempt() -> None:
    reply = replace(REPLY, call_id=f"{STREAM_SID}-2-3", method="OPTIONS", status=481)
    assert event_of(reply) == e.SrsOptionsAnswered(attempt=3, status=481)


@pytest.mark.parametrize(
    "reply",
    [
        replace(REPLY, status=180),
        replace(REPLY, call_id="stranger@host"),
        replace(REPLY, method="INFO"),
    ],
    ids=["1xx", "not ours", "other method"],
)
def test_reply_that_means_nothing_to_a_stream_is_no_event(reply: SrsReplied) -> None:
    assert event_of(reply) is None


# Requests


@pytest.mark.parametrize("state", [StreamState.CONNECTING, StreamState.RECORDING])
def test_bye_is_answered_200_and_ends_the_dialog(state: StreamState) -> None:
    request = replace(REQUEST, method="BYE", reason="SIP;cause=503")
    answer = answer_request(stream_in(state), request)
    assert answer.status == 200
    assert answer.events == (e.SrsHungUp(reason="SIP;cause=503", is_error=True),)
    assert answer.leg is not None
    assert answer.leg.remote_cseq == 7


@pytest.mark.parametrize(
    ("reason", "is_error"),
    [
        ("", False),
        ("SIP;cause=503", True),
        ('SIP ;cause=503 ;text="Service Unavailable"', True),
        ('sip; text="full, sorry"; Cause = 500', True),
        ("SIP;cause=200", False),
        ("SIP;cause=399", False),
        ("SIP;cause=400", True),
        ("Q.850;cause=16", False),
        ('Q.850;cause=16;text="Terminated"', False),
        ("Q.850;cause=31", False),
        ("Q.850;cause=34", True),
        ("Q.850;cause=41", True),
        ("q.850; cause=41", True),
        ("Q.850;cause=16, SIP;cause=503", True),
        ("SIP;cause=200, Q.850;cause=41", True),
        ('SIP;cause=200;text="it was SIP;cause=503"', False),
        ('SIP;text="a \\" SIP;cause=503";cause=200', False),
        ("SIP;cause=200,Q.850;cause=16", False),
        ("preemption;cause=503", False),
        ("XSIP;cause=503", False),
        ("SIP;because=503", False),
        ("SIP;cause=", False),
        ('SIP;text="', False),
    ],
)
def test_bye_tells_an_error_by_its_reason(reason: str, is_error: bool) -> None:
    assert tells_error(reason) is is_error
    answer = answer_request(RECORDING, replace(REQUEST, method="BYE", reason=reason))
    assert answer.events == (e.SrsHungUp(reason=reason, is_error=is_error),)


def test_request_is_for_the_leg_that_its_call_id_names() -> None:
    other = replace(LEG, number=2, call_id=f"{STREAM_SID}-2-1", from_tag="ours2", to_tag="theirs2")
    stream = replace(RECORDING, legs=(LEG, other))
    request = replace(REQUEST, call_id=other.call_id, from_tag="theirs2", to_tag="ours2")
    assert answer_request(stream, request).leg == replace(other, remote_cseq=7)


@pytest.mark.parametrize(("method", "has_allow"), [("OPTIONS", True), ("INFO", False)])
def test_options_and_info_are_answered_200(method: str, has_allow: bool) -> None:
    answer = answer_request(RECORDING, replace(REQUEST, method=method))
    assert (answer.status, answer.events) == (200, ())
    assert ("Allow" in answer.headers) is has_allow


def test_method_that_we_do_not_know_is_answered_405() -> None:
    answer = answer_request(RECORDING, replace(REQUEST, method="PUBLISH"))
    assert (answer.status, answer.headers) == (405, {"Allow": ALLOW})
    assert answer.leg is None


@pytest.mark.parametrize(
    "changed",
    [
        {"call_id": f"{STREAM_SID}-1-2"},
        {"call_id": f"{STREAM_SID}-2-1"},
        {"call_id": "stranger@host"},
        {"from_tag": "x"},
        {"to_tag": "x"},
        {"from_tag": REQUEST.to_tag, "to_tag": REQUEST.from_tag},
    ],
    ids=["attempt", "leg", "call-id", "from tag", "to tag", "tags swapped"],
)
def test_request_outside_the_dialog_is_answered_481(changed: dict[str, str]) -> None:
    request = replace(REQUEST, method="BYE", **changed)  # type: ignore[arg-type]
    assert answer_request(RECORDING, request).status == 481


@pytest.mark.parametrize("state", [StreamState.INVITING, StreamState.STOPPED, StreamState.FAILED])
def test_request_where_there_is_no_dialog_is_answered_481(state: StreamState) -> None:
    assert answer_request(stream_in(state), REQUEST).status == 481
    assert answer_request(None, REQUEST).status == 481


@pytest.mark.parametrize("cseq", [6, 7])
def test_request_that_is_not_newer_is_answered_500(cseq: int) -> None:
    leg = answer_request(RECORDING, REQUEST).leg
    assert leg is not None
    noted = replace(RECORDING, legs=(leg,))
    answer = answer_request(noted, replace(REQUEST, cseq=cseq))
    assert (answer.status, answer.leg) == (500, None)


@pytest.mark.parametrize(
    ("method", "sdp", "events"),
    [("INVITE", OFFER.sdp, (e.OfferGiven(),)), ("UPDATE", "", ())],
)
def test_refresh_without_sdp_is_answered_with_what_was_offered(
    method: str, sdp: str, events: tuple[e.LegEvent, ...]
) -> None:
    answer = answer_request(RECORDING, replace(REQUEST, method=method))
    assert (answer.status, answer.sdp, answer.events) == (200, sdp, events)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_refresh_with_the_same_media_changes_nothing_but_the_target(method: str) -> None:
    request = replace(
        REQUEST,
        method=method,
        content_type=SDP,
        body=answer_sdp(4000, 4002),
        contact="<sip:moved.example>",
    )
    answer = answer_request(RECORDING, request)
    assert (answer.status, answer.sdp, answer.events) == (200, OFFER.sdp, ())
    assert answer.leg is not None
    assert answer.leg.remote_target == "sip:moved.example"


def test_reinvite_that_moves_the_media_gives_rtpengine_a_new_answer() -> None:
    moved = answer_sdp(5000, 5002)
    request = replace(REQUEST, method="INVITE", content_type=SDP, body=moved)
    answer = answer_request(RECORDING, request)
    assert answer.events == (e.SrsReanswered(sdp=moved),)
    assert answer.leg is not None
    assert answer.leg.remote_target == LEG.remote_target


def test_reinvite_that_cannot_be_taken_is_answered_488_and_says_why() -> None:
    body = 'v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 "!h"\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n'
    request = replace(REQUEST, method="INVITE", content_type=SDP, body=body)
    answer = answer_request(RECORDING, request)
    assert answer.status == 488
    warning = answer.headers["Warning"]
    assert warning.startswith('399 siprec "')
    assert "!" not in warning
    assert warning.count('"') == 2


def test_reinvite_of_a_dialog_without_an_offer_is_answered_500() -> None:
    stream = replace(RECORDING, legs=(replace(LEG, offer=None),))
    assert answer_request(stream, replace(REQUEST, method="INVITE")).status == 500


# Session timers


TIMED = replace(RECORDING, legs=(replace(LEG, timer=Timer(interval_s=600, is_ours=True)),))


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize(
    ("stream", "asked_for", "supported", "answered", "is_ours"),
    [
        (RECORDING, "120;refresher=uac", "timer", "120;refresher=uac", False),
        (RECORDING, "120;refresher=uas", "timer", "120;refresher=uas", True),
        (RECORDING, "120", "100rel, Timer", "120;refresher=uac", False),
        (RECORDING, "120", "", "120;refresher=uas", True),
        (TIMED, "", "timer", "600;refresher=uas", True),
        (TIMED, "", "", "", None),
        (RECORDING, "", "timer", "", None),
    ],
)
def test_request_of_the_srs_agrees_on_a_timer(
    method: str,
    stream: Stream,
    asked_for: str,
    supported: str,
    answered: str,
    is_ours: bool | None,
) -> None:
    request = replace(REQUEST, method=method, session_expires=asked_for, supported=supported)
    answer = answer_request(stream, request)
    assert answer.status == 200
    assert answer.headers.get("Session-Expires", "") == answered
    assert ("Require" in answer.headers) == answered.endswith("uac")
    interval_s = int(answered.partition(";")[0] or 0)
    given = (e.OfferGiven(),) if method == "INVITE" else ()
    timer = () if is_ours is None else (e.SrsRefreshed(interval_s=interval_s, is_ours=is_ours),)
    assert answer.events == (*given, *timer)


def test_timer_that_is_too_small_is_answered_422() -> None:
    answer = answer_request(RECORDING, replace(REQUEST, method="UPDATE", session_expires="89"))
    assert (answer.status, answer.headers, answer.events) == (422, {"Min-SE": "90"}, ())


# Snapshots

SNAPSHOT = '<requestsnapshot xmlns="urn:ietf:params:xml:ns:recording:1"/>'


@pytest.mark.parametrize("kind", ["application/rs-metadata+xml", "application/rs-metadata"])
@pytest.mark.parametrize("stream", [RECORDING, asked().stream], ids=["", "while we ask"])
def test_snapshot_request_is_answered_200_and_given(kind: str, stream: Stream) -> None:
    request = replace(REQUEST, method="UPDATE", content_type=kind, body=SNAPSHOT)
    answer = answer_request(stream, request)
    assert (answer.status, answer.sdp, answer.events) == (200, "", (e.SnapshotRequested(),))


# Replies to what is new


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_reply_tells_its_timer_and_when_to_come_back(method: str) -> None:
    reply = replace(REPLY, method=method, session_expires="90;refresher=uas")
    answered = event_of(reply)
    assert isinstance(answered, e.SrsAnswered)
    assert answered.session_expires == "90;refresher=uas"
    refused = event_of(replace(reply, status=422, min_se="900", retry_after="5 (busy)"))
    assert isinstance(refused, e.SrsRefused)
    assert (refused.min_se_s, refused.retry_after_s) == (900, 5)
