"""The requests to an SRS, byte by byte."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.errors import SipUriError
from siprec.model import (
    Call,
    Connector,
    Leg,
    ParametersIn,
    Party,
    Side,
    Srs,
    Stream,
    StreamOrder,
    StreamState,
    Track,
)
from siprec.multipart import parse
from siprec_kemi.src import requests
from siprec_kemi.src.addresses import Address
from siprec_kemi.src.requests import Hop, Outgoing
from tests.siprec.streams import (
    ACCOUNT_SID,
    CALL_SID,
    NOW_MS,
    OFFER,
    PATHS,
    STREAM_SID,
    answered,
    begun,
    follow,
)

GOLDEN = Path(__file__).parent / "golden"
HOP = Hop(
    ip="192.0.2.1",
    port=5080,
    transport="tcp",
    ours=Address("tcp:198.51.100.1:5070", "src.example:5070"),
)
CALL = Call(
    sid=CALL_SID,
    account_sid=ACCOUNT_SID,
    sip_call_id="a!b@192.0.2.7",
    caller=Party(name='Zoë "!" <&> O\'Neil', uri="sip:+1!5@a.example", tag="tagA"),
    callee=Party(name="", uri="sip:bob@b.example", tag="tagB"),
    session_id="ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",
    rtpengine="127.0.0.1:2223",
    started_ms=NOW_MS - 5_000,
    answered_ms=NOW_MS,
)
ORDER = StreamOrder(name="main", parameters=(("X-Case", "50% !done"), ("X-Agent", "Zoë <1>")))


def stream_in(state: StreamState, order: StreamOrder = ORDER) -> Stream:
    return follow(begun(order).stream, PATHS[state]).stream


def connector(where: ParametersIn = ParametersIn.BOTH) -> Connector:
    return Connector(
        account_sid=ACCOUNT_SID, name="Default", srs=(Srs(uri="sip:s"),), parameters=where
    )


def invite(stream: Stream | None = None, where: ParametersIn = ParametersIn.BOTH) -> Outgoing:
    stream = stream or stream_in(StreamState.INVITING)
    return requests.invite(CALL, stream, connector(where), HOP, NOW_MS)


def shown(request: Outgoing) -> str:
    """Write a request as it is for the golden files, line ends as LF."""
    head = f"{request.method} {request.uri}\n-> {request.next_hop} from {request.socket}\n"
    text = head + request.headers + "".join(request.risky_headers) + "\n" + request.body
    return text.replace("\r\n", "\n")


def headers_of(request: Outgoing) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in request.headers.splitlines())


@pytest.mark.parametrize("name", ["invite", "bye"])
def test_request_is_the_golden_one(name: str) -> None:
    stopping = stream_in(StreamState.STOPPING)
    made = {"invite": invite(), "bye": requests.bye(CALL, stopping, HOP, NOW_MS + 9_000)}
    assert shown(made[name]) == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_invite_has_all_that_a_recording_client_must_send() -> None:
    request = invite()
    headers = headers_of(request)
    assert headers["Require"] == "siprec"
    assert headers["Contact"].endswith(";+sip.src")
    assert headers["CSeq"] == "1 INVITE"
    assert headers["Call-ID"] == f"{STREAM_SID}-1"
    assert ";tag=" not in headers["To"]
    sdp, metadata = parse(request.body.encode(), headers["Content-Type"])
    assert sdp.body.decode() == OFFER.sdp
    assert (metadata.content_type, metadata.disposition) == (
        "application/rs-metadata+xml",
        "recording-session",
    )


@pytest.mark.parametrize(
    ("where", "in_metadata", "in_headers"),
    [
        (ParametersIn.BOTH, True, True),
        (ParametersIn.METADATA, True, False),
        (ParametersIn.HEADERS, False, True),
    ],
)
def test_parameters_go_where_the_connector_says(
    where: ParametersIn, in_metadata: bool, in_headers: bool
) -> None:
    request = invite(where=where)
    assert ("X-Case" in request.body) is in_metadata
    lines = ("X-Case: 50% !done\r\n", "X-Agent: Zoë <1>\r\n") if in_headers else ()
    assert request.risky_headers == lines


def test_exclamation_marks_never_stand_in_what_t_uac_send_would_garble() -> None:
    stopping = stream_in(StreamState.STOPPING)
    for request in (invite(), requests.bye(CALL, stopping, HOP, NOW_MS)):
        assert "!" not in request.headers
    assert "!" in invite().body


def test_request_has_no_line_end_but_crlf_in_its_headers() -> None:
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", invite().headers)


@pytest.mark.parametrize("track", Track)
def test_labels_are_the_sides_for_the_life_of_the_call(track: Track) -> None:
    assert list(requests.labels_of(track)) == list(track.sides)
    assert requests.labels_of(Track.BOTH) == {Side.CALLER: "1", Side.CALLEE: "2"}


def test_bye_goes_on_the_route_of_the_dialog_to_its_target() -> None:
    request = requests.bye(CALL, stream_in(StreamState.STOPPING), HOP, NOW_MS)
    headers = headers_of(request)
    assert request.uri == "sip:192.0.2.9:5080"
    assert (headers["Route"], headers["CSeq"]) == ("<sip:192.0.2.1;lr>", "2 BYE")
    assert headers["To"].endswith(";tag=srs1")


def test_bye_to_a_late_answer_has_its_tags_and_no_metadata() -> None:
    leg = stream_in(StreamState.INVITING).leg
    answer = replace(answered(3), route_set=("<sip:r1;lr>", "<sip:r2;lr>"))
    request = requests.bye_to_late_answer(leg, answer, f"{STREAM_SID}-3", HOP)
    headers = headers_of(request)
    assert headers["Call-ID"] == f"{STREAM_SID}-3"
    assert headers["From"].endswith(f";tag={STREAM_SID[2:]}3")
    assert headers["To"].endswith(";tag=srs3")
    assert request.headers.index("Route: <sip:r1;lr>") < request.headers.index("Route: <sip:r2;lr>")
    assert (request.uri, request.body) == ("sip:192.0.2.9:5080", "")


def test_next_hop_is_the_route_then_the_target_then_the_srs() -> None:
    leg = Leg(srs_uri="sip:srs.example")
    assert requests.next_hop_uri(leg).host == "srs.example"
    leg = replace(leg, remote_target="sip:target.example")
    assert requests.next_hop_uri(leg).host == "target.example"
    leg = replace(leg, route_set=(" <sip:route.example;lr> ",))
    assert requests.next_hop_uri(leg).host == "route.example"
    with pytest.raises(SipUriError):
        requests.next_hop_uri(replace(leg, route_set=("<tel:1>",)))


@pytest.mark.parametrize(
    ("ip", "uri"),
    [
        ("192.0.2.1", "sip:192.0.2.1:5080;transport=tcp"),
        ("2001:db8::1", "sip:[2001:db8::1]:5080;transport=tcp"),
    ],
)
def test_next_hop_is_written_in_numbers(ip: str, uri: str) -> None:
    assert replace(HOP, ip=ip).uri == uri


def test_identity_of_the_srs_has_no_parameters_of_its_uri() -> None:
    stream = stream_in(StreamState.INVITING)
    leg = replace(stream.leg, srs_uri="sip:srs@recorder.example:5080;transport=udp")
    request = invite(replace(stream, leg=leg))
    assert headers_of(request)["To"] == "<sip:srs@recorder.example:5080>"
    assert request.uri == leg.srs_uri


def test_late_leg_is_ready_for_the_next_request() -> None:
    late = requests.late_leg(Leg(srs_uri="sip:s"), answered(2), "id")
    assert (late.cseq, late.attempt, late.call_id) == (2, 2, "id")
