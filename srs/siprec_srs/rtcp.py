"""RTCP: a minimal receiver report with SDES, and what a sender report says (RFC 3550 §6)."""

import struct

from siprec_srs.rtp import Source

_SR = 200
_RR = 201
_SDES = 202
_MAX_BLOCKS = 31


def write_report(ssrc: int, cname: str, sources: list[Source], now: float) -> bytes:
    """Write a compound packet RR + SDES about these sources and remember what it said."""
    sources = sources[:_MAX_BLOCKS]
    blocks = b"".join(_block(source, now) for source in sources)
    rr = struct.pack("!BBHI", 0x80 | len(sources), _RR, 1 + len(blocks) // 4, ssrc) + blocks
    name = cname.encode()[:255]
    item = struct.pack("!IBB", ssrc, 1, len(name)) + name + b"\0"
    item += bytes(-len(item) % 4)
    return rr + struct.pack("!BBH", 0x81, _SDES, len(item) // 4) + item


def _block(source: Source, now: float) -> bytes:
    expected = source.expected - source.reported_expected
    received = source.received - source.reported_received
    source.reported_expected, source.reported_received = source.expected, source.received
    fraction = min(255, max(0, (expected - received) * 256 // expected)) if expected > 0 else 0
    lost = max(-0x800000, min(0x7FFFFF, source.expected - source.received)) & 0xFFFFFF
    delay = round((now - source.last_sr_at) * 65536) if source.last_sr else 0
    return struct.pack(
        "!IIIIII",
        source.ssrc,
        fraction << 24 | lost,
        source.max_seq & 0xFFFFFFFF,
        round(source.jitter) & 0xFFFFFFFF,
        source.last_sr,
        delay & 0xFFFFFFFF,
    )


def read_sender_reports(data: bytes) -> dict[int, int]:
    """Return for each sender report in a compound packet: SSRC and middle 32 bits of its time."""
    found: dict[int, int] = {}
    while len(data) >= 8 and data[0] >> 6 == 2:
        size = 4 + 4 * int.from_bytes(data[2:4])
        if data[1] == _SR and len(data) >= 20:
            ssrc, seconds, fraction = struct.unpack_from("!III", data, 4)
            found[ssrc] = (seconds & 0xFFFF) << 16 | fraction >> 16
        data = data[size:]
    return found
