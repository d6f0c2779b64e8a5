"""Recorders that want the profile with feedback: RTP/AVPF, RTP/SAVPF, and that of DTLS."""

import pytest

from tests.scenarios.secure_stage import SecureStage
from tests.scenarios.srs import Session

pytestmark = pytest.mark.daemon

AVPF = ("--rtp-profile", "avpf")


def profiles(session: Session) -> list[str]:
    """Give the profile of each track; what is secured must have come so, packet by packet."""
    for track in session.tracks:
        srtp = track.summary["srtp"]
        if srtp is not None:
            assert srtp["profile"] == track.summary["profile"]
            assert srtp["authenticated_packets"] == track.packets
            wrong = ("replayed", "clear", "failed", "clear_rtcp")
            assert [srtp[f"{kind}_packets"] for kind in wrong] == [0, 0, 0, 0]
    return [track.summary["profile"] for track in session.tracks]


def test_call_is_recorded_in_each_profile_with_feedback_byte_by_byte(
    any_secure_stage: SecureStage,
) -> None:
    stage = any_secure_stage
    srs = stage.secure_recorder()
    sdes = stage.secure_connector(srs.secure_uri, options=AVPF)
    dtls = stage.secure_connector(srs.secure_uri, options=[*AVPF, "--keying", "dtls"])
    plain = stage.connect(srs.uri, options=AVPF)
    sessions = stage.record([sdes, dtls, plain], [srs] * 3)
    assert [profiles(session) for session in sessions] == [
        ["RTP/SAVPF"] * 2,
        ["UDP/TLS/RTP/SAVPF"] * 2,
        ["RTP/AVPF"] * 2,
    ]
