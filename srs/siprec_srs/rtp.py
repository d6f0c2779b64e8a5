"""RTP without I/O: one m-line's packets to samples and to counters (RFC 3550)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import unpack_from
from typing import Protocol

from siprec_srs.g711 import LAWS, Law
from siprec_srs.wav import RATE_HZ

_SPEECH_SQUARE = (32768 * 10 ** (-45 / 20)) ** 2
_CONTINUOUS_SAMPLES = RATE_HZ * 60 // 1000
_JUMP_SAMPLES = 2 * RATE_HZ
_CLOCK_PACKETS = 100
_SEEN_MAX = 4096

Arrival = tuple[float, bytes]


class Sink(Protocol):
    """Where samples go: a WavWriter, or nothing."""

    def put(self, position: int, pcm: bytes) -> None:
        """Take samples at a position."""


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


@dataclass(slots=True, kw_only=True)
class Source:
    """One SSRC: sequence numbers and timestamps extended beyond their wrap."""

    ssrc: int
    first_seq: int
    max_seq: int
    last_ts: int
    base_ts: int
    base_position: int
    last_arrival: float
    seen: set[int] = field(default_factory=set)
    received: int = 0
    jitter: float = 0.0
    transit: float | None = None
    # For the next receiver report (RFC 3550 §6.4.1, A.3).
    reported_expected: int = 0
    reported_received: int = 0
    last_sr: int = 0
    last_sr_at: float = 0.0

    @property
    def expected(self) -> int:
        """Count the packets that were sent between the first and the last one seen."""
        return self.max_seq - self.first_seq + 1

    def take_seq(self, seq: int) -> int | None:
        """Extend a sequence number; None for a duplicate."""
        extended = self.max_seq + _signed(seq - self.max_seq, 16)
        if extended in self.seen:
            return None
        self.seen.add(extended)
        if len(self.seen) > _SEEN_MAX:
            self.seen = {value for value in self.seen if value > self.max_seq - _SEEN_MAX // 2}
        self.received += 1
        self.first_seq = min(self.first_seq, extended)
        self.max_seq = max(self.max_seq, extended)
        return extended

    def take_jitter(self, arrival: float, ts: int) -> None:
        """Update the interarrival jitter, RFC 3550 A.8, in timestamp units."""
        transit = arrival * RATE_HZ - ts
        if self.transit is not None:
            self.jitter += (abs(transit - self.transit) - self.jitter) / 16
        self.transit = transit


@dataclass(slots=True, kw_only=True)
class Receiver:
    """All packets of one m-line. `process` takes them in batches, in order of arrival.

    codecs: payload types of the offer that are audio we can decode.
    answered: the payload types of our answer.
    note: told each oddity, once.
    is_video: packets are counted and kept, not decoded.
    epoch: what to add to the times of arrival for seconds since 1970.
    speech: samples above -45 dBFS by the tenth of a second since 1970 in which they came.
    """

    codecs: dict[int, str]
    answered: frozenset[int]
    note: Callable[[str], None]
    is_video: bool = False
    epoch: float = 0.0
    sink: Sink | None = None
    raw: list[tuple[int, int, bytes]] | None = None
    sources: dict[int, Source] = field(default_factory=dict)
    packets: int = 0
    payload_bytes: int = 0
    duplicates: int = 0
    malformed: int = 0
    payload_types: dict[int, int] = field(default_factory=dict)
    first_arrival: float = 0.0
    last_arrival: float = 0.0
    clock_start: float = 0.0
    end_position: int = 0
    speech_samples: int = 0
    speech: dict[int, int] = field(default_factory=dict)
    late: int = 0

    def process(self, batch: list[Arrival]) -> None:
        """Count, decode and place a batch of datagrams."""
        if not self.sources:
            batch = _in_order(batch)
        for arrival, data in batch:
            head = _payload_span(data)
            if head is None:
                self.malformed += 1
                self.note("a datagram on an RTP port is no RTP packet")
                continue
            start, end = head
            kind = data[1] & 0x7F
            seq, ts, ssrc = unpack_from("!HII", data, 2)
            self._count(arrival, kind, end - start)
            source = self.sources.get(ssrc) or self._new_source(ssrc, seq, ts, arrival)
            extended = source.take_seq(seq)
            if extended is None:
                self.duplicates += 1
                continue
            law = self._law(kind)
            if law is not None:
                self._place(source, law, arrival, ts, data[start:end])
            if self.raw is not None and (law is not None or self.is_video):
                order = list(self.sources).index(ssrc)
                self.raw.append((order, extended, data[start:end]))

    def _count(self, arrival: float, kind: int, size: int) -> None:
        if not self.packets:
            self.first_arrival = arrival
        self.last_arrival = arrival
        self.packets += 1
        self.payload_bytes += size
        self.payload_types[kind] = self.payload_types.get(kind, 0) + 1

    def _law(self, kind: int) -> Law | None:
        if kind not in self.answered:
            self.note(f"packets with payload type {kind}, which was not negotiated")
        if self.is_video:
            return None
        name = self.codecs.get(kind) or {0: "PCMU", 8: "PCMA"}.get(kind, "")
        return LAWS.get(name)

    def _new_source(self, ssrc: int, seq: int, ts: int, arrival: float) -> Source:
        if not self.sources:
            self.clock_start = arrival
        source = Source(
            ssrc=ssrc,
            first_seq=seq,
            max_seq=seq,
            last_ts=ts,
            base_ts=ts,
            base_position=self._position_now(arrival),
            last_arrival=arrival,
        )
        self.sources[ssrc] = source
        return source

    def _position_now(self, arrival: float) -> int:
        """Say where audio that begins now belongs: by the clock, but never over what is there."""
        by_clock = round((arrival - self.clock_start) * RATE_HZ)
        gap = by_clock - self.end_position
        return by_clock if gap > _CONTINUOUS_SAMPLES else self.end_position

    def _place(self, source: Source, law: Law, arrival: float, ts: int, payload: bytes) -> None:
        extended = source.last_ts + _signed(ts - source.last_ts, 32)
        drift = (extended - source.last_ts) - (arrival - source.last_arrival) * RATE_HZ
        if abs(drift) > _JUMP_SAMPLES:
            self.note(f"timestamps of SSRC {source.ssrc:08x} jump against the clock")
            source.base_ts, source.base_position = extended, self._position_now(arrival)
            source.transit = None
        source.take_jitter(arrival, extended)
        if extended >= source.last_ts or abs(drift) > _JUMP_SAMPLES:
            source.last_ts, source.last_arrival = extended, arrival
        position = source.base_position + extended - source.base_ts
        if position < 0:
            self.late += 1
            self.note("a packet from before the first one is not in the WAV file")
            return
        if self.packets <= _CLOCK_PACKETS:
            # The quickest packets know best when the recording began.
            self.clock_start = min(self.clock_start, arrival - position / RATE_HZ)
        self.end_position = max(self.end_position, position + len(payload))
        if law.mean_square(payload) > _SPEECH_SQUARE:
            self.speech_samples += len(payload)
            tenth = int((arrival + self.epoch) * 10)
            self.speech[tenth] = self.speech.get(tenth, 0) + len(payload)
        if self.sink is not None:
            self.sink.put(position, law.decode(payload))

    @property
    def lost(self) -> int:
        """Count gaps in the sequence numbers."""
        return sum(source.expected - source.received for source in self.sources.values())

    @property
    def foreign_packets(self) -> int:
        """Count packets that carry no audio codec we know, such as telephone-event."""
        if self.is_video:
            return 0
        audio = {*self.codecs, 0, 8}
        return sum(count for kind, count in self.payload_types.items() if kind not in audio)

    def raw_payload(self) -> bytes:
        """Return the kept payloads in order of their sequence numbers."""
        return b"".join(payload for _, _, payload in sorted(self.raw or [], key=lambda x: x[:2]))


def _in_order(batch: list[Arrival]) -> list[Arrival]:
    """Sort the first packets of a source: where the recording begins hangs on the very first.

    Senders with several threads swap packets that are sent back to back.
    """
    heads = [unpack_from("!HII", data, 2) if len(data) >= 12 else None for _, data in batch]
    if None in heads or len({head[2] for head in heads if head}) != 1:
        return batch
    first = unpack_from("!H", batch[0][1], 2)[0]
    arrivals = sorted(arrival for arrival, _ in batch)
    packets = sorted(batch, key=lambda one: _signed(unpack_from("!H", one[1], 2)[0] - first, 16))
    return [(arrival, data) for arrival, (_, data) in zip(arrivals, packets, strict=True)]


def _payload_span(data: bytes) -> tuple[int, int] | None:
    """Return start and end of the payload, None when this is no RTP packet."""
    size = len(data)
    if size < 12 or data[0] >> 6 != 2 or 200 <= data[1] <= 207:
        return None
    if data[0] == 0x80:
        return 12, size
    start, end = 12 + 4 * (data[0] & 0x0F), size
    if data[0] & 0x10:
        if size < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    if data[0] & 0x20:
        if not data[-1]:
            return None
        end -= data[-1]
    return (start, end) if start <= end else None
