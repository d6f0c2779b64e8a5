"""The requests to an SRS, byte by byte."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.connector import MetadataType, ParametersIn
from siprec.model import Side, StreamState, Track
from siprec.multipart import parse
from siprec_kemi.src import requests
from siprec_kemi.src.addresses import Address
from siprec_kemi.src.requests import Hop
from tests.kemi.composed import HOP, PLAIN, bye, headers_of, invite, leg_in, shown
from tests.siprec.streams import OFFER, STREAM_SID, answered

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["invite", "bye"])
def test_request_is_the_golden_one(name: str) -> None:
    made = {"invite": invite(), "bye": bye()}
    assert shown(made[name]) == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_invite_has_all_that_a_recording_client_must_send() -> None:
    request = invite()
    headers = headers_of(request)
    assert headers["Require"] == "siprec"
    assert headers["Contact"].endswith(";+sip.src")
    assert headers["CSeq"] == "1 INVITE"
    assert headers["Call-ID"] == f"{STREAM_SID}-1-1"
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
    request = invite(connector=replace(PLAIN, parameters=where))
    assert ("X-Case" in request.body) is in_metadata
    lines = ("X-Case: 50% !done\r\n", "X-Agent: Zoë <1>\r\n") if in_headers else ()
    assert request.risky_headers == lines


def test_exclamation_marks_never_stand_in_what_t_uac_send_would_garble() -> None:
    for request in (invite(), bye()):
        assert "!" not in request.headers
    assert "!" in invite().body


def test_request_has_no_line_end_but_crlf_in_its_headers() -> None:
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", invite().headers)


@pytest.mark.parametrize("track", Track)
def test_labels_are_the_sides_for_the_life_of_the_call(track: Track) -> None:
    assert list(requests.labels_of(track).values()) == list(track.sides)
    assert requests.labels_of(Track.BOTH) == {"1": Side.CALLER, "2": Side.CALLEE}


def test_bye_goes_on_the_route_of_the_dialog_to_its_target() -> None:
    request = bye()
    headers = headers_of(request)
    assert request.uri == "sip:192.0.2.9:5080"
    assert (headers["Route"], headers["CSeq"]) == ("<sip:192.0.2.1;lr>", "2 BYE")
    assert headers["To"].endswith(";tag=srs1")


def test_bye_to_a_late_answer_has_its_tags_and_no_metadata() -> None:
    answer = replace(answered(3), route_set=("<sip:r1;lr>", "<sip:r2;lr>"))
    late = requests.late_leg(leg_in(StreamState.INVITING), answer, f"{STREAM_SID}-1-3")
    request = requests.bye_to_late_answer(late, None, HOP)
    headers = headers_of(request)
    assert headers["Call-ID"] == f"{STREAM_SID}-1-3"
    assert headers["From"].endswith(f";tag={answer.from_tag}")
    assert headers["To"].endswith(f";tag={answer.to_tag}")
    assert headers["CSeq"] == f"{answer.cseq + 1} BYE"
    assert request.headers.index("Route: <sip:r1;lr>") < request.headers.index("Route: <sip:r2;lr>")
    assert (request.uri, request.body) == ("sip:192.0.2.9:5080", "")


@pytest.mark.parametrize(
    ("ip", "uri"),
    [
        ("192.0.2.1", "sip:192.0.2.1:5080;transport=tcp"),
        ("2001:db8::1", "sip:[2001:db8::1]:5080;transport=tcp"),
    ],
)
def test_next_hop_is_written_in_numbers(ip: str, uri: str) -> None:
    assert requests.hop_uri(ip, 5080, "tcp") == uri


def test_own_parameters_of_the_uri_stay_with_us() -> None:
    leg = replace(
        leg_in(StreamState.INVITING), srs="sip:srs@recorder.example:5080;secure=true&edge=dublin"
    )
    request = invite(leg)
    assert request.uri == "sip:srs@recorder.example:5080;transport=tls"
    assert headers_of(request)["To"] == "<sip:srs@recorder.example:5080>"


def test_redirected_invite_goes_where_the_contact_says() -> None:
    leg = replace(leg_in(StreamState.INVITING), redirect="sip:other.example:5090")
    request = invite(leg)
    assert request.uri == "sip:other.example:5090"
    assert headers_of(request)["To"] == "<sip:other.example:5090>"


# What the connector adds


def test_headers_of_the_connector_stand_in_the_invite() -> None:
    connector = replace(
        PLAIN,
        headers=(("X-Tenant", "blue!"),),
        header_prefix="P-",
        credential_header="X-Api-Key",
        credential_value="s3cret!",
    )
    assert invite(connector=connector).risky_headers == (
        "X-Tenant: blue!\r\n",
        "X-Api-Key: s3cret!\r\n",
        "P-X-Case: 50% !done\r\n",
        "P-X-Agent: Zoë <1>\r\n",
    )
    assert "X-Api-Key: s3cret!\r\n" in bye(connector=connector).risky_headers


def test_parameter_of_a_call_does_not_stand_in_for_a_header_of_the_connector() -> None:
    connector = replace(PLAIN, headers=(("x-case", "ours"),))
    assert invite(connector=connector).risky_headers == (
        "x-case: ours\r\n",
        "X-Agent: Zoë <1>\r\n",
    )


def test_old_media_type_is_used_where_the_connector_says() -> None:
    connector = replace(PLAIN, metadata_type=MetadataType.RS_METADATA)
    request = invite(connector=connector)
    _, metadata = parse(request.body.encode(), headers_of(request)["Content-Type"])
    assert metadata.content_type == "application/rs-metadata"
    assert headers_of(bye(connector=connector))["Content-Type"] == "application/rs-metadata"


def test_limits_of_the_connector_are_those_of_the_transaction() -> None:
    short, long = (invite(connector=replace(PLAIN, answer_s=s)) for s in (2, 20))
    assert (short.invite_ms, short.reply_ms) == (2_000, 2_000)
    assert (long.invite_ms, long.reply_ms) == (20_000, requests.SILENCE_MS)


@pytest.mark.parametrize(
    ("challenge", "answer"),
    [
        ("WWW-Authenticate", "Authorization"),
        ("Proxy-Authenticate", "Proxy-Authorization"),
    ],
)
def test_challenged_request_answers_with_the_count_since_the_challenge(
    challenge: str, answer: str
) -> None:
    line = f'{challenge}: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
    connector = replace(PLAIN, digest_user="u", digest_password="p4ss")
    leg = replace(leg_in(StreamState.STOPPING), challenges=(line,), challenged_cseq=1, cseq=3)
    (header,) = bye(leg, connector).risky_headers
    assert header.startswith(f"{answer}: Digest ")
    assert 'username="u"' in header
    assert "nc=00000002" in header
    assert "p4ss" not in header
    assert bye(leg, None).risky_headers == ()


def test_options_in_the_dialog_has_no_body_and_its_own_cseq() -> None:
    leg = replace(leg_in(StreamState.RECORDING), cseq=5)
    request = requests.options(leg, None, HOP)
    headers = headers_of(request)
    assert (headers["CSeq"], headers["Route"]) == ("5 OPTIONS", "<sip:192.0.2.1;lr>")
    assert (request.method, request.body) == ("OPTIONS", "")


# Through the TLS proxy

THROUGH = Hop(
    uri="sip:127.0.0.1:5080;transport=udp",
    ours=Address("udp:127.0.0.1:5071", "src.example:5061"),
    us="sip:siprec@src.example:5061;transport=tls",
    route="<sip:127.0.0.1:5080;lr;hop=192.0.2.1:5061;con=a.1>",
)


def test_invite_over_tls_names_the_tls_proxy_and_its_outside() -> None:
    request = invite(hop=THROUGH)
    headers = headers_of(request)
    assert headers["Route"] == THROUGH.route
    assert headers["Contact"] == "<sip:siprec@src.example:5061;transport=tls>;+sip.src"
    assert (request.next_hop, request.socket) == (THROUGH.uri, "udp:127.0.0.1:5071")


def test_request_in_a_dialog_over_tls_takes_the_connection_that_is_open_now() -> None:
    leg = replace(
        leg_in(StreamState.STOPPING),
        route_set=("<sip:127.0.0.1:5080;lr;hop=192.0.2.1:5061;con=a.0>", "<sip:far.example;lr>"),
    )
    request = bye(leg, hop=THROUGH)
    routes = [line for line in request.headers.split("\r\n") if line.startswith("Route: ")]
    assert routes == [f"Route: {THROUGH.route}", "Route: <sip:far.example;lr>"]
