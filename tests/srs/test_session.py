"""Whole recording sessions against the real process."""

import wave
from pathlib import Path

import pytest

from siprec_srs.g711 import PCMU
from tests.srs.conftest import StartSrs
from tests.srs.documents import PARTIAL
from tests.srs.src_client import SrcClient, ports_of

LOUD = bytes([0x80 ^ n for n in range(16)] * 10)
QUIET = bytes([0xFF]) * 160


def _frames(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        assert file.getframerate() == 8000
        assert file.getsampwidth() == 2
        return file.readframes(file.getnframes())


@pytest.mark.parametrize("tcp", [False, True])
def test_session_with_media_is_recorded(start_srs: StartSrs, tcp: bool) -> None:
    srs = start_srs("--raw")
    with SrcClient(srs.address, tcp=tcp) as src:
        answer = src.establish()
        assert "+sip.srs" in answer.get("Contact")
        ports = ports_of(answer)
        first = [LOUD] * 5 + [QUIET] * 5
        second = [QUIET] * 3 + [LOUD] * 3
        src.play(0, ports[0], first)
        src.play(1, ports[1], second)
        src.bye(
            extra=[
                ("Reason", "Q.850;cause=16"),
                ("Content-Type", "application/rs-metadata+xml"),
                ("Content-Disposition", "recording-session"),
            ],
            body=PARTIAL.encode(),
        )
    summary = srs.ended()
    assert summary["problems"] == []
    assert summary["ended_by"] == "src-bye"
    assert summary["bye_reason"] == "Q.850;cause=16"
    assert [(m["source"], m["datamode"], m["valid"]) for m in summary["metadata"]] == [
        ("INVITE", "complete", True),
        ("BYE", "partial", True),
    ]
    assert summary["parameters"] == [["Custom1", "Bob"], ["Empty", ""]]
    one, two = summary["labels"]["1"], summary["labels"]["2"]
    assert one["participant"] == {"aor": "sip:alice@example.com", "name": 'Alice & "Co" ü'}
    assert (one["packets"], one["lost"], one["codec"]) == (10, 0, "PCMU")
    assert (one["speech_s"], two["speech_s"]) == (0.1, 0.06)
    assert one["packets_before_answer"] == one["packets_after_bye"] == 0
    folder = summary["folder"]
    assert (folder / "1.raw").read_bytes() == b"".join(first)
    assert _frames(folder / "1.wav") == PCMU.decode(b"".join(first))
    assert _frames(folder / "2.wav") == PCMU.decode(b"".join(second))
    assert (folder / "metadata-001.xml").read_text().startswith("<?xml")
    assert len(_frames(folder / "stereo.wav")) >= 4 * 1600
