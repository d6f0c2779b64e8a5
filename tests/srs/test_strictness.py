"""What RFC 7866 and 3261 forbid is refused, and the Warning names it."""

import pytest

from tests.srs.conftest import StartSrs
from tests.srs.documents import BOUNDARY, COMPLETE, PARTIAL, STREAM_2, write_mixed, write_sdp
from tests.srs.src_client import SrcClient

SDP = write_sdp((4000, 4002))
MIXED = write_mixed(SDP, COMPLETE)


@pytest.mark.parametrize(
    ("without", "extra", "body", "warning"),
    [
        (["Require"], [], None, "Require: siprec is missing"),
        (["Contact"], [], None, "0 Contact values instead of one"),
        (["Contact"], [("Contact", "<sip:a@127.0.0.1>")], None, "+sip.src is missing in Contact"),
        (
            ["Content-Type"],
            [("Content-Type", "application/sdp")],
            SDP.encode(),
            "the body is not multipart/mixed",
        ),
        ([], [], b"", "there is no application/sdp part"),
        ([], [], b"no boundary here", "multipart without its closing boundary"),
        (
            ["Content-Type"],
            [("Content-Type", f"multipart/alternative;boundary={BOUNDARY}")],
            None,
            "the body is not multipart/mixed",
        ),
        ([], [], MIXED.replace(b"recording-session", b"session"), "Content-Disposition"),
        ([], [], MIXED.replace(b"rs-metadata+xml", b"xml"), "no application/rs-metadata+xml"),
        ([], [], MIXED.replace(b"a=label:2\r\n", b""), "m-line 2 has 0 a=label"),
        ([], [], MIXED.replace(b"a=label:2", b"a=label:1"), "label 1 stands on two m-lines"),
        ([], [], MIXED.replace(b"a=label:2", b"a=label:9"), "label 2 is on no m-line"),
        ([], [], MIXED.replace(b"v=0", b"v=1"), "SDP line 1 is not v=0"),
        ([], [], MIXED.replace(b"c=IN IP4 127.0.0.1", b"c=nothing"), "no usable c= line"),
        ([], [], MIXED.replace(b"t=0 0\r\n", b""), "SDP has no t= line"),
        ([], [], MIXED.replace(STREAM_2.encode(), b"short"), "stream_id"),
        ([], [], MIXED.replace(b"</recording>", b""), "not well-formed"),
        ([], [], write_mixed(SDP, PARTIAL), "partial document before a complete one"),
    ],
)
def test_invite_with_fault_is_refused_with_warning(
    start_srs: StartSrs,
    without: list[str],
    extra: list[tuple[str, str]],
    body: bytes | None,
    warning: str,
) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        request = src.invite_request(body=MIXED if body is None else body)
        kept = tuple(h for h in request.headers if h[0] not in without) + tuple(extra)
        src.send(type(request)(method="INVITE", uri=request.uri, headers=kept, body=request.body))
        answer = src.response("INVITE")
    assert answer.status == 400
    assert any(warning in text for text in answer.all("Warning")), answer.all("Warning")
    assert all(text.startswith('399 siprec-srs "') for text in answer.all("Warning"))
    summary = srs.ended()
    assert (summary["state"], summary["refused_with"]) == ("refused", 400)
    assert any(warning in text for text in summary["problems"])


def test_both_names_of_the_media_type_are_accepted(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        body = write_mixed(src.sdp(), COMPLETE, kind="application/rs-metadata")
        src.send(src.invite_request(body=body))
        assert src.response("INVITE").status == 200


def test_unknown_option_is_answered_420(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.send(src.invite_request(extra=[("Require", "timer, nonsense")]))
        answer = src.response("INVITE")
    assert (answer.status, answer.get("Unsupported")) == (420, "nonsense")
    assert srs.ended()["refused_with"] == 420


def test_offer_without_known_codec_is_answered_488(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.send(src.invite_request(sdp=write_sdp((4000, 4002), formats="18")))
        assert src.response("INVITE").status == 488
    assert srs.ended()["refused_with"] == 488


def test_missing_header_is_answered_400(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.send(src.invite_request(without=["Call-ID"]))
        answer = src.response()
    assert answer.status == 400
    assert "Call-ID" in answer.get("Warning")
