"""G.711, RTP to samples, WAV alignment, RTCP."""

import struct
import wave
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec_srs.g711 import PCMA, PCMU
from siprec_srs.rtcp import read_sender_reports, write_report
from siprec_srs.rtp import Arrival, Receiver
from siprec_srs.wav import WavWriter, join

FRAME = bytes([0x10]) * 160
SILENCE = bytes(320)


@pytest.mark.parametrize(
    ("code", "ulaw", "alaw"),
    # ITU-T G.711 tables 1a and 2a, scaled to 16 bits.
    [
        (0x00, -32124, -5504),
        (0x7F, 0, -848),
        (0x80, 32124, 5504),
        (0xFF, 0, 848),
        (0x55, -716, -8),
        (0xD5, 716, 8),
        (0x2A, -5372, -32256),
        (0xAA, 5372, 32256),
    ],
)
def test_g711_decodes_to_the_standard_values(code: int, ulaw: int, alaw: int) -> None:
    assert PCMU.samples[code] == ulaw
    assert PCMA.samples[code] == alaw


@given(payload=st.binary(max_size=400))
def test_g711_decode_matches_its_table(payload: bytes) -> None:
    for law in (PCMU, PCMA):
        assert array("h", law.decode(payload)).tolist() == [law.samples[code] for code in payload]


def _packet(seq: int, ts: int, payload: bytes = FRAME, *, ssrc: int = 7, kind: int = 0) -> bytes:
    head = struct.pack("!BBHII", 0x80, kind, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc)
    return head + payload


class _Rig:
    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self.wav = WavWriter(path)
        self.receiver = Receiver(
            codecs={0: "PCMU"},
            answered=frozenset({0}),
            note=self.notes.append,
            sink=self.wav,
            raw=[],
        )

    def frames(self, *arrivals: Arrival) -> list[bytes]:
        """Process packets and return the file in pieces of 20 ms."""
        self.receiver.process(list(arrivals))
        self.wav.close()
        with wave.open(str(self.wav.path), "rb") as file:
            data = file.readframes(file.getnframes())
        return [data[at : at + 320] for at in range(0, len(data), 320)]


@pytest.fixture
def rig(tmp_path: Path) -> _Rig:
    return _Rig(tmp_path / "x.wav")


LOUD = PCMU.decode(FRAME)


def test_gap_in_timestamps_is_silence(rig: _Rig) -> None:
    frames = rig.frames((0.0, _packet(1, 0)), (0.06, _packet(4, 480)))
    assert frames == [LOUD, SILENCE, SILENCE, LOUD]
    assert rig.receiver.lost == 2


def test_packets_swapped_at_the_beginning_begin_at_the_earlier_one(rig: _Rig) -> None:
    other = bytes([0x20]) * 160
    frames = rig.frames((0.0, _packet(65536, 160, other)), (0.001, _packet(65535, 0)))
    assert frames == [LOUD, PCMU.decode(other)]
    assert (rig.receiver.lost, rig.receiver.late, rig.notes) == (0, 0, [])
    assert rig.receiver.raw_payload() == FRAME + other


def test_reordered_and_duplicate_packets_land_once_at_their_place(rig: _Rig) -> None:
    other = bytes([0x20]) * 160
    frames = rig.frames(
        (0.0, _packet(1, 0)),
        (0.04, _packet(3, 320)),
        (0.05, _packet(2, 160, other)),
        (0.05, _packet(2, 160, other)),
    )
    assert frames == [LOUD, PCMU.decode(other), LOUD]
    assert (rig.receiver.lost, rig.receiver.duplicates) == (0, 1)
    assert rig.receiver.raw_payload() == FRAME + other + FRAME


def test_wrap_of_sequence_and_timestamp_is_no_gap(rig: _Rig) -> None:
    frames = rig.frames(
        (0.0, _packet(65535, 2**32 - 160)), (0.02, _packet(65536, 0)), (0.04, _packet(65537, 160))
    )
    assert frames == [LOUD] * 3
    assert rig.receiver.lost == 0
    assert rig.notes == []


def test_new_ssrc_goes_on_where_the_old_one_ended(rig: _Rig) -> None:
    frames = rig.frames((0.0, _packet(1, 0)), (0.021, _packet(900, 77_000, ssrc=8)))
    assert frames == [LOUD, LOUD]
    assert list(rig.receiver.sources) == [7, 8]


def test_new_ssrc_after_a_pause_goes_on_by_the_clock(rig: _Rig) -> None:
    frames = rig.frames((0.0, _packet(1, 0)), (1.0, _packet(900, 77_000, ssrc=8)))
    assert frames == [LOUD] + [SILENCE] * 49 + [LOUD]


def test_jump_of_timestamps_cannot_blow_up_the_file(rig: _Rig) -> None:
    frames = rig.frames((0.0, _packet(1, 0)), (0.02, _packet(2, 2**31 - 1)))
    assert frames == [LOUD, LOUD]
    assert rig.notes == ["timestamps of SSRC 00000007 jump against the clock"]


def test_telephone_events_are_counted_and_not_heard(rig: _Rig) -> None:
    frames = rig.frames((0.0, _packet(1, 0)), (0.02, _packet(2, 160, b"\5\0\0\xa0", kind=101)))
    assert frames == [LOUD]
    assert rig.receiver.foreign_packets == 1
    assert rig.notes == ["packets with payload type 101, which was not negotiated"]


def test_codec_that_was_not_answered_is_heard_and_noted(rig: _Rig) -> None:
    frames = rig.frames((0.0, _packet(1, 0, kind=8)))
    assert frames == [PCMA.decode(FRAME)]
    assert rig.notes == ["packets with payload type 8, which was not negotiated"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x00",
        b"\x00" * 40,
        b"\x80\xc8" + b"\0" * 26,
        b"\x8f\x00" + b"\0" * 20,
        b"\xa0\x00" + b"\0" * 20 + b"\xff",
        b"\x90\x00" + b"\0" * 10 + b"\xbe\xde\xff\xff",
    ],
)
def test_datagram_that_is_no_rtp_is_counted(rig: _Rig, data: bytes) -> None:
    rig.receiver.process([(0.0, data)])
    assert (rig.receiver.malformed, rig.receiver.packets) == (1, 0)
    rig.wav.close()


def test_csrc_extension_and_padding_are_no_audio(rig: _Rig) -> None:
    head = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 1, 0, 1, 0, 7)
    packet = head + b"csrc" + b"\xbe\xde\0\1ext." + FRAME + b"\0\0\3"
    assert rig.frames((0.0, packet)) == [LOUD]


@given(data=st.binary(max_size=80))
def test_process_of_anything_raises_nothing(data: bytes) -> None:
    receiver = Receiver(codecs={0: "PCMU"}, answered=frozenset({0}), note=lambda _: None)
    receiver.process([(0.0, data), (0.1, b"\x80" + data)])


def test_join_aligns_tracks_and_fills_with_silence(tmp_path: Path) -> None:
    for name, samples in (("a", [1, 2, 3, 4]), ("b", [5, 6])):
        writer = WavWriter(tmp_path / name)
        writer.put(0, array("h", samples).tobytes())
        writer.close()
    join(tmp_path / "s.wav", [(tmp_path / "a", 0), (tmp_path / "b", 3)])
    with wave.open(str(tmp_path / "s.wav"), "rb") as file:
        assert file.getnchannels() == 2
        samples = array("h", file.readframes(file.getnframes())).tolist()
    assert samples == [1, 0, 2, 0, 3, 0, 4, 5, 0, 6]


def test_receiver_report_is_a_valid_compound_packet(rig: _Rig) -> None:
    rig.frames((0.0, _packet(10, 0)), (0.06, _packet(13, 480)))
    sources = list(rig.receiver.sources.values())
    sources[0].last_sr, sources[0].last_sr_at = 0x12345678, 1.0
    packet = write_report(0xABCD, "1@srs", sources, 1.5)
    first, kind, length, sender, ssrc, lost, highest = struct.unpack_from("!BBHIIII", packet)
    assert (first, kind, length, sender, ssrc) == (0x81, 201, 7, 0xABCD, 7)
    assert (lost >> 24, lost & 0xFFFFFF, highest) == (128, 2, 13)
    assert struct.unpack_from("!II", packet, 24) == (0x12345678, 0x8000)
    sdes = packet[32:]
    assert sdes[:2] == b"\x81\xca"
    assert len(sdes) == 4 + 4 * int.from_bytes(sdes[2:4])
    assert b"\x01\x051@srs\0" in sdes


def test_sender_report_is_read() -> None:
    packet = struct.pack("!BBHIII", 0x80, 200, 6, 7, 0xAAAA1234, 0x5678BBBB) + bytes(12)
    assert read_sender_reports(packet) == {7: 0x12345678}
    assert read_sender_reports(b"\x80") == {}
