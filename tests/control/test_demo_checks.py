"""The demo's checks hold for good recordings, and fail for each kind of bad one."""

import json
import wave
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from siprec_control.demo_checks import (
    Recording,
    Sent,
    check_caller_only,
    check_secured,
    check_whole,
    report,
)
from siprec_control.demo_voices import CALLEE, CALLER, RATE_HZ, DemoFailed, Voice
from tests.control.test_demo_match import ANN, BOB

TALK_S = 3.5
SENT = Sent(caller=ANN, callee=BOB)
PARAMETER = ("OrderNumber", "4711")
Change = Callable[[dict[str, Any]], None]


def write_wav(path: Path, *channels: Sequence[int]) -> None:
    mixed = array("h", bytes(2 * len(channels) * min(map(len, channels))))
    for at, channel in enumerate(channels):
        mixed[at :: len(channels)] = array("h", channel[: len(mixed) // len(channels)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(mixed.tobytes())


def label(voice: Voice, length_s: float) -> dict[str, Any]:
    packets = int(length_s * 50)
    return {
        "participant": {"aor": "sip:x@example.com", "name": voice.name},
        "packets": packets,
        "first_packet": "2026-01-01T00:00:00.000Z",
        "last_packet": f"2026-01-01T00:00:{(packets - 1) * 0.02:06.3f}Z",
        "packets_after_bye": 0,
        "lost": 0,
    }


def session(folder: Path, voices: Sequence[Voice], length_s: float) -> Recording:
    folder.mkdir()
    summary = {
        "labels": {str(n): label(voice, length_s) for n, voice in enumerate(voices, 1)},
        "ended_by": "src-bye",
        "problems": [],
        "metadata": [{"errors": []}],
        "parameters": [list(PARAMETER)],
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return Recording.read(folder.name, folder)


@pytest.fixture
def whole(tmp_path: Path) -> Recording:
    length = int(TALK_S * RATE_HZ)
    recording = session(tmp_path / "whole", (CALLER, CALLEE), TALK_S)
    write_wav(recording.folder / "1.wav", ANN[:length])
    write_wav(recording.folder / "2.wav", BOB[:length])
    write_wav(recording.folder / "stereo.wav", ANN[:length], BOB[:length])
    return recording


@pytest.fixture
def part(tmp_path: Path) -> Recording:
    recording = session(tmp_path / "part", (CALLER,), 1.2)
    write_wav(recording.folder / "1.wav", ANN[int(1.2 * RATE_HZ) : int(2.4 * RATE_HZ)])
    return recording


def failed(recording: Recording, whole: Recording | None = None) -> list[str]:
    if whole is None:
        checks = list(check_whole(recording, SENT, PARAMETER, TALK_S))
    else:
        checks = list(check_caller_only(recording, whole, SENT))
    return [check.what for check in checks if not check.holds]


def test_good_recordings_pass(whole: Recording, part: Recording) -> None:
    assert failed(whole) == []
    assert failed(part, whole) == []


def test_swapped_voices_fail(whole: Recording) -> None:
    one, two = whole.folder / "1.wav", whole.folder / "2.wav"
    one.rename(whole.folder / "3.wav")
    two.rename(one)
    (whole.folder / "3.wav").rename(two)
    assert [what.split(" (")[0] for what in failed(whole)] == [
        "whole/1.wav holds Ann's voice and not Bob's",
        "whole/2.wav holds Bob's voice and not Ann's",
    ]


def test_swapped_stereo_channels_fail(whole: Recording) -> None:
    write_wav(whole.folder / "stereo.wav", BOB[: int(TALK_S * RATE_HZ)], ANN)
    assert len(failed(whole)) == 2
    assert all("stereo.wav" in what for what in failed(whole))


def test_silence_fails(whole: Recording) -> None:
    write_wav(whole.folder / "1.wav", [0] * int(TALK_S * RATE_HZ))
    assert failed(whole) == ["whole/1.wav holds Ann's voice and not Bob's (it is silent)"]


def test_voices_mixed_into_one_fail(whole: Recording) -> None:
    mixed = [one + other for one, other in zip(ANN, BOB, strict=False)]
    write_wav(whole.folder / "1.wav", mixed[: int(TALK_S * RATE_HZ)])
    assert len(failed(whole)) == 1


def test_recording_that_stops_early_fails(whole: Recording) -> None:
    write_wav(whole.folder / "2.wav", BOB[: 2 * RATE_HZ])
    assert failed(whole) == ["whole/2.wav: 2.00 s of a talk of 3.50 s"]


@pytest.mark.parametrize("begin", [0, int(2.2 * RATE_HZ)])
def test_part_that_is_not_the_middle_fails(begin: int, whole: Recording, part: Recording) -> None:
    write_wav(part.folder / "1.wav", ANN[begin : begin + int(1.2 * RATE_HZ)])
    assert [what.split(" (")[0] for what in failed(part, whole)] == ["part is the middle only"]


def lose(summary: dict[str, Any]) -> None:
    summary["labels"]["1"]["lost"] = 1


def leak(summary: dict[str, Any]) -> None:
    summary["labels"]["1"]["packets_after_bye"] = 1


def thin_out(summary: dict[str, Any]) -> None:
    summary["labels"]["1"]["packets"] -= 20


def hear_nothing(summary: dict[str, Any]) -> None:
    summary["labels"]["1"] |= {"packets": 0, "first_packet": None, "last_packet": None}


def mistake(summary: dict[str, Any]) -> None:
    summary["labels"]["1"]["participant"]["name"] = CALLEE.name


def hide(summary: dict[str, Any]) -> None:
    summary["labels"]["1"]["participant"] = None


def hang_up(summary: dict[str, Any]) -> None:
    summary["ended_by"] = "timeout"


def complain(summary: dict[str, Any]) -> None:
    summary["problems"] = ["CANCEL after the final response"]


def garble(summary: dict[str, Any]) -> None:
    summary["metadata"][0]["errors"] = ["line 1: not well-formed"]


def say_nothing(summary: dict[str, Any]) -> None:
    summary["metadata"] = []


def forget(summary: dict[str, Any]) -> None:
    summary["parameters"] = []


SPOILED: list[Change] = [lose, leak, thin_out, hear_nothing, mistake, hide]
SPOILED += [hang_up, complain, garble, say_nothing, forget]


@pytest.mark.parametrize("change", SPOILED)
def test_what_the_recorder_complains_of_fails(change: Change, whole: Recording) -> None:
    summary = json.loads((whole.folder / "summary.json").read_text())
    change(summary)
    (whole.folder / "summary.json").write_text(json.dumps(summary))
    assert len(failed(Recording.read("whole", whole.folder))) == 1


SECURED = {
    "profile": "RTP/SAVP",
    "suite": "AES_CM_128_HMAC_SHA1_80",
    "authenticated_packets": 60,
    "failed_packets": 0,
    "clear_packets": 0,
    "replayed_packets": 0,
    "clear_rtcp_packets": 0,
}
TLS = {"transport": "TLS", "tls_version": "TLSv1.3"}
PLAIN = {"transport": "TCP", "tls_version": None}


def secured(part: Recording, srtp: object, verified: object = TLS) -> list[bool]:
    """Tell which checks hold of a recording with an `srtp` of its label."""
    summary = {**part.summary, "verified": verified}
    summary["labels"]["1"]["srtp"] = srtp
    again = Recording(name=part.name, folder=part.folder, summary=summary)
    return [check.holds for check in check_secured(again, "ca.pem")]


def test_recording_over_tls_with_srtp_passes(part: Recording) -> None:
    assert secured(part, SECURED) == [True, True]


@pytest.mark.parametrize("count", ["failed", "clear", "replayed", "clear_rtcp"])
def test_packet_that_is_not_secured_fails(count: str, part: Recording) -> None:
    assert secured(part, SECURED | {f"{count}_packets": 1}) == [True, False]


def test_packets_that_are_missing_from_srtp_fail(part: Recording) -> None:
    assert secured(part, SECURED | {"authenticated_packets": 59}) == [True, False]


def test_recording_in_clear_fails(part: Recording) -> None:
    assert secured(part, None, PLAIN) == [False, False]


def test_missing_voice_fails(whole: Recording) -> None:
    summary = json.loads((whole.folder / "summary.json").read_text())
    del summary["labels"]["2"]
    (whole.folder / "summary.json").write_text(json.dumps(summary))
    assert failed(Recording.read("whole", whole.folder)) == ["whole: two voices were received"]


def test_missing_files_are_named(whole: Recording, tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match=r"summary\.json"):
        Recording.read("none", tmp_path)
    (whole.folder / "stereo.wav").unlink()
    with pytest.raises(DemoFailed, match=r"stereo\.wav"):
        failed(whole)


def test_report_shows_each_check_and_tells_the_whole(whole: Recording) -> None:
    lines: list[str] = []
    checks = list(check_whole(whole, SENT, PARAMETER, TALK_S))
    assert report(checks, lines.append)
    assert all(line.startswith("  ok      whole") for line in lines)
    assert not report([*checks, checks[0]._replace(holds=False)], lines.append)
    assert lines[-1].startswith("  FAILED  whole")
