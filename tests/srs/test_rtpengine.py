"""SRTP from the relay that SRCs use: what went into a call comes out of the SRS, byte for byte."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siprec_srs.message import Response
from siprec_srs.suites import SUITES
from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall
from tests.srs.conftest import Srs, StartSrs
from tests.srs.documents import COMPLETE
from tests.srs.src_client import SrcClient

pytestmark = pytest.mark.daemon

PACKETS = 30


@pytest.fixture
def call(tmp_path: Path) -> Iterator[AnsweredCall]:
    """Anchor an answered call in an rtpengine of its own."""
    with Rtpengine(tmp_path) as daemon:
        answered = AnsweredCall(daemon.ng, "call-1")
        yield answered
        answered.close()


def _fork(call: AnsweredCall, **arguments: Any) -> str:
    reply = call.ask(
        "subscribe request",
        **{
            "from-tags": [call.caller.tag, call.callee.tag],
            "to-tag": "fork-1",
            "flags": ["siprec", "strip-extmap"],
            "ICE": "remove",
            "rtcp-mux": ["demux"],
            "codec": {"strip": ["telephone-event"]},
            **arguments,
        },
    )
    return str(reply["sdp"])


def _subscribe(call: AnsweredCall, src: SrcClient, offer: str) -> Response:
    """Offer the fork to the SRS and give rtpengine its answer."""
    metadata = COMPLETE
    for number, label in enumerate(re.findall(r"a=label:(\S+)", offer), 1):
        metadata = metadata.replace(f"<label>{number}</label>", f"<label> {label} </label>")
    metadata = re.sub(r"<label> (\S+) </label>", r"<label>\1</label>", metadata)
    src.send(src.invite_request(sdp=offer, metadata=metadata))
    answer = src.response("INVITE")
    assert answer.status == 200, answer.all("Warning")
    src.take_dialog(answer)
    sdp = answer.body.decode()
    call.ask("subscribe answer", **{"to-tag": "fork-1", "flags": ["allow-transcoding"], "sdp": sdp})
    src.ack(answer)
    return answer


def _record(call: AnsweredCall, srs: Srs, src: SrcClient) -> dict[str, Any]:
    """Talk, end the session, and check that both files hold exactly what was said."""
    said = call.talk(PACKETS, "recorded")
    src.bye()
    summary = srs.ended()
    for label, payloads in zip(summary["labels"], said, strict=True):
        assert (summary["folder"] / f"{label}.raw").read_bytes() == b"".join(payloads)
    return summary


@pytest.mark.parametrize("suite", SUITES)
def test_fork_with_sdes_is_decrypted(start_srs: StartSrs, call: AnsweredCall, suite: str) -> None:
    srs = start_srs("--raw", "--suites", suite)
    with SrcClient(srs.address, tcp=True) as src:
        unwanted = ["no-NULL_HMAC_SHA1_80", "no-NULL_HMAC_SHA1_32"]
        unwanted += ["no-F8_128_HMAC_SHA1_80", "no-F8_128_HMAC_SHA1_32"]
        offer = _fork(call, **{"transport-protocol": "RTP/SAVP", "DTLS": "off", "SDES": unwanted})
        _subscribe(call, src, offer)
        summary = _record(call, srs, src)
    for label in summary["labels"].values():
        assert label["srtp"]["suite"] == suite
        assert label["srtp"]["authenticated_packets"] == PACKETS
        assert label["srtp"]["failed_packets"] == label["srtp"]["clear_packets"] == 0
    assert summary["problems"] == []


@pytest.mark.parametrize("role", ["active", "passive"])
def test_fork_with_dtls_is_decrypted(start_srs: StartSrs, call: AnsweredCall, role: str) -> None:
    srs = start_srs("--raw", "--dtls-role", role)
    with SrcClient(srs.address, tcp=True) as src:
        profile = "UDP/TLS/RTP/SAVP"
        offer = _fork(call, **{"transport-protocol": profile, "SDES": ["off"]})
        _subscribe(call, src, offer)
        # rtpengine drops what it cannot encrypt yet, so the handshake must be over.
        srs.summary(lambda now: all(label["srtp"]["suite"] for label in now["labels"].values()))
        summary = _record(call, srs, src)
    for label in summary["labels"].values():
        assert (label["srtp"]["profile"], label["srtp"]["clear_packets"]) == (profile, 0)
        assert label["srtp"]["authenticated_packets"] == PACKETS
    assert summary["problems"] == []


def test_avp_answer_makes_the_relay_send_in_the_clear(
    start_srs: StartSrs, call: AnsweredCall
) -> None:
    srs = start_srs("--raw", "--answer-avp")
    with SrcClient(srs.address, tcp=True) as src:
        _subscribe(call, src, _fork(call, **{"transport-protocol": "RTP/SAVP", "DTLS": "off"}))
        call.talk(PACKETS, "clear")
        src.bye()
    summary = srs.ended()
    for label in summary["labels"].values():
        assert (label["srtp"]["clear_packets"], label["packets"]) == (PACKETS, 0)
