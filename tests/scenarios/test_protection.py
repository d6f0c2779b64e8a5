"""Recorders with `secure=true`: signalling over TLS, media in SRTP, or nothing at all."""

import pytest

from siprec.model import AlertLevel, Stream, StreamState
from tests.scenarios.phone import Phone, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.secure_stage import SecureStage
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.talk import Talk

pytestmark = pytest.mark.daemon

DEFAULT_SUITE = "AES_CM_128_HMAC_SHA1_80"
# What libsrtp knows. AES_192_CM is held against its RFC in tests/rtpengine.
SUITES = (
    DEFAULT_SUITE,
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AEAD_AES_128_GCM",
    "AEAD_AES_256_GCM",
)

BAD_PROTECTION = 32207


def wait_streams(stage: SecureStage, phone: Phone, state: StreamState, count: int) -> list[Stream]:
    """Wait until the phone's call has so many streams, all in a state."""
    poll(
        lambda: [s.state for s in stage.streams(phone)] == [state] * count,
        why=lambda: f"{stage.streams(phone)}\n{stage.stack.log}",
    )
    return stage.streams(phone)


def test_secure_recorder_gets_metadata_over_tls_and_media_in_srtp(
    secure_stage: SecureStage,
) -> None:
    srs = secure_stage.secure_recorder()
    session, _ = record(secure_stage, secure_stage.secure_connector(srs.secure_uri), srs)
    verified = session.summary["verified"]
    assert (verified["transport"], verified["tls_version"]) == ("TLS", "TLSv1.3")
    assert verified["cipher"]
    for track in session.tracks:
        assert track.summary["srtp"] == {
            "profile": "RTP/SAVP",
            "suite": DEFAULT_SUITE,
            "authenticated_packets": track.packets,
            "replayed_packets": 0,
            "clear_packets": 0,
            "failed_packets": 0,
            "clear_rtcp_packets": 0,
        }
    assert "transport=tls" in session.headers("Contact")[0]


def record(stage: SecureStage, start: str, srs: ReferenceSrs) -> tuple[Session, Talk]:
    """Record a call from its answer to its end; the SRS has it byte by byte."""
    caller, callee = stage.begin(start)
    with Talk(caller, callee) as talking:
        stage.wait_recording(caller)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    session = stage.wait_recorded(caller, srs=srs)
    talking.missing([track.raw for track in session.tracks])
    stage.wait_call_over(caller)
    assert stage.alerts(caller) == []
    return session, talking
