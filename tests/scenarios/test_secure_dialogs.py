"""Secure recordings in the middle of a call: what an SRS takes back, and the next SRS."""

from pathlib import Path

import pytest

from siprec.model import StreamState
from tests.scenarios.phone import hang_up
from tests.scenarios.polling import poll
from tests.scenarios.secure_stage import SecureStage
from tests.scenarios.talk import Talk

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011
BAD_PROTECTION = 32207
ONCE_FAIR = ("--fair-answers", "1")
FAULTS = {
    "plain": ("--answer-avp", "sdes"),
    "no_key": ("--no-crypto", "sdes"),
    "another_suite": ("--unoffered-suite", "sdes"),
    "another_tag": ("--unoffered-tag", "sdes"),
    "plain_dtls": ("--answer-avp", "dtls"),
    "no_fingerprint": ("--no-crypto", "dtls"),
}


def test_srs_that_takes_protection_back_loses_its_dialog_and_gets_nothing_in_clear(
    any_secure_stage: SecureStage,
) -> None:
    stage = any_secure_stage
    recorders = [stage.secure_recorder(*ONCE_FAIR, fault) for fault, _ in FAULTS.values()]
    starts = [
        stage.secure_connector(srs.secure_uri, options=["--keying", keying])
        for srs, (_, keying) in zip(recorders, FAULTS.values(), strict=True)
    ]
    caller, callee = stage.begin(*starts)
    with Talk(caller, callee) as talking:
        streams = stage.wait_streams(caller, StreamState.RECORDING, len(starts))
        talking.go_on()
        for stream in streams:
            stage.stack.cli("stream", "pause", stream.sid)
        # A new dialog with an SRS that may have had an accident: it is fair at first.
        poll(lambda: [len(srs.sessions()) for srs in recorders] == [2] * len(starts))
        stage.wait_streams(caller, StreamState.PAUSED, len(starts))
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    assert stage.wait_call_over(caller).end_reason == "bye"
    for stream, srs in zip(streams, recorders, strict=True):
        told = [alert for alert in stage.alerts(caller) if alert.stream_sid == stream.sid]
        assert sorted(alert.code for alert in told) == [UNREACHABLE, BAD_PROTECTION]
        assert all(srs.tls_address in alert.text for alert in told)
        for session in srs.wait_over(2):
            assert session.ended_by == "src-bye"
            for track in session.tracks:
                srtp = track.summary["srtp"]
                assert track.packets == srtp["authenticated_packets"]
                kinds = ("clear", "failed", "replayed", "clear_rtcp")
                assert [srtp[f"{kind}_packets"] for kind in kinds] == [0, 0, 0, 0]


def test_next_secure_srs_goes_on_under_keys_of_its_own(
    any_secure_stage: SecureStage, tmp_path: Path
) -> None:
    stage = any_secure_stage
    keys = [tmp_path / "first", tmp_path / "second"]
    first, second = (stage.secure_recorder("--keys", str(file)) for file in keys)
    start = stage.secure_connector(
        first.secure_uri,
        f"{second.secure_uri},priority=2",
        options=["--answer-s", "1", "--options-s", "5"],
    )
    caller, callee = stage.begin(start)
    with Talk(caller, callee) as talking:
        stage.wait_streams(caller, StreamState.RECORDING, 1)
        talking.go_on(75)
        first.stop()
        poll(lambda: second.sessions(), 30)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    stage.wait_call_over(caller)
    (session,) = second.wait_over()
    assert (session.ended_by, session.problems, session.metadata_errors) == ("src-bye", [], [])
    for track in session.tracks:
        srtp = track.summary["srtp"]
        assert track.packets == srtp["authenticated_packets"] > 0
    before, after = (set(file.read_text().split()) for file in keys)
    assert before
    assert not before & after
