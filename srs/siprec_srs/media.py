"""The media of one recording session: sockets, receivers, files, reports."""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from siprec_srs.behaviour import Behaviour, SrtpPolicy
from siprec_srs.guard import PLAIN_PROFILE, PROFILES, Guard, doubts, new_guard
from siprec_srs.offers import Wish, judge_answer
from siprec_srs.ports import PortPairs
from siprec_srs.rtp import Receiver
from siprec_srs.sdp import AnswerLine, MediaLine, Offer, choose_codec, write_answer
from siprec_srs.speech import Speech
from siprec_srs.summary import iso, safe_name
from siprec_srs.track import Track
from siprec_srs.transport import Address
from siprec_srs.wav import RATE_HZ, WavWriter, join


class Media:
    """The m-lines of one session. Made by the session, which calls `tick`, `mark_bye`, `close`.

    note: told each oddity. host: our address towards the SRC.
    """

    def __init__(
        self,
        *,
        folder: Path,
        behaviour: Behaviour,
        ports: PortPairs,
        host: str,
        note: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._behaviour = behaviour
        self._ports = ports
        self._host = host
        self._note = note
        self._by_index: dict[int, Track] = {}
        self._number = secrets.randbelow(2**31)
        self._version = 0
        self._lines: list[AnswerLine] = []
        self._sent: list[AnswerLine] = []
        self._wish: Wish | None = None
        self._is_holding = behaviour.inactive
        self._ended: set[int] = set()
        self._answers = 0
        self._epoch = time.time() - time.monotonic()
        self.tracks: list[Track] = []
        self.refused: list[str] = []
        self.sdp = b""

    def answer(self, offer: Offer) -> bytes | None:
        """Open what the offer needs and return our session description.

        Keeps ports of m-lines that stay. Returns None when not one m-line is usable; an offer
        that comes later and is refused so changes nothing (RFC 3264 §8).
        """
        wanted = [line for line in offer.media if line.port]
        if self._lines and wanted and not any(map(self._is_known, wanted)):
            return None
        lines = [self._answer_line(index, line) for index, line in enumerate(offer.media)]
        is_hopeless = wanted or not self._lines
        if is_hopeless and not any(x.port for x in lines) and self._behaviour.port_zero == -1:
            return None
        for index, line in enumerate(lines):
            self._turn(index, line.direction if line.port else "removed")
        lines = self._misbehave(lines)
        self._answers += 1
        return self._write(lines, is_agreed=True)

    def _turn(self, index: int, direction: str) -> None:
        if index in self._by_index:
            self._by_index[index].turn(direction)

    def _write(self, lines: list[AnswerLine], *, is_agreed: bool) -> bytes:
        if lines != self._sent:
            self._version += 1
            self._sent = lines
        self.sdp = write_answer(
            host=self._host, number=self._number, version=self._version, lines=lines
        )
        if is_agreed:
            self._lines = lines
        return self.sdp

    def offer(self, wish: Wish) -> bytes:
        """Return an offer of ours; then comes `take_answer`, or `drop_offer` when it is refused."""
        self._wish = wish
        if wish.moves:
            for track in self._by_index.values():
                track.moving = self._ports.open(self._host)
                if not self._behaviour.no_media:
                    track.listen(track.moving)
        if wish.direction not in ("", "inactive"):
            for track in self._by_index.values():
                track.expect()
        moved = [self._moved(index, line) for index, line in enumerate(self._lines)]
        return self._write(wish.lines(moved), is_agreed=False)

    def _moved(self, index: int, line: AnswerLine) -> AnswerLine:
        track = self._by_index.get(index)
        if track is None or track.moving is None:
            return line
        return replace(line, port=int(track.moving[0].getsockname()[1]))

    def take_answer(self, theirs: Offer) -> list[str]:
        """Take the answer to our offer, and return what is wrong with it."""
        wish, self._wish = self._wish or Wish(), None
        problems = judge_answer(self._sent, theirs, len(self._lines))
        pairs = list(zip(self._sent, theirs.media, strict=False))
        for index, (ours, answered) in enumerate(pairs):
            self._settle(index, ours, answered)
        if wish.direction:
            self._is_holding = wish.direction == "inactive"
        if wish.port_zero >= 0:
            self._ended.add(wish.port_zero)
        kept = [replace(x, port=x.port if y.port else 0) for x, y in pairs]
        self._lines = kept + [replace(x, port=0) for x in self._sent[len(kept) :]]
        return problems

    def _settle(self, index: int, ours: AnswerLine, answered: MediaLine) -> None:
        track = self._by_index.get(index)
        if track is None:
            return
        if not (ours.port and answered.port):
            self._stop(index)
            return
        track.move()
        track.rtcp_to = answered.rtcp
        if track.guard is not None and track.guard.agree(answered) is None:
            self._note(f"label {track.label}: no key that we can use in the answer to our offer")
        sends = answered.direction in ("sendonly", "sendrecv") and ours.direction != "inactive"
        track.turn("recvonly" if sends else "inactive")

    def drop_offer(self) -> None:
        """Go on as before: our offer was refused."""
        self._wish = None
        for track in self._by_index.values():
            track.stay()

    def _answer_line(self, index: int, line: MediaLine) -> AnswerLine:
        codec = choose_codec(line)
        is_refused = self._behaviour.refuses_line(index) or index in self._ended
        if not line.port or not self._is_known(line) or codec is None or is_refused:
            return self._refuse_line(index, line)
        guard = self._guard(index, line)
        security = guard.agree(line) if guard is not None else ()
        if security is None:
            self._note(f"label {line.label} is {line.proto} without a key that we can use")
            return self._refuse_line(index, line)
        for doubt in doubts(line):
            self._note(doubt)
        track = self._track(index, line, codec)
        track.take_guard(guard)
        sends = line.direction in ("sendonly", "sendrecv") and not self._is_holding
        return AnswerLine(
            kind=line.kind,
            port=track.port,
            proto=line.proto,
            payload_type=codec[0],
            encoding=codec[1],
            label=line.label,
            direction="recvonly" if sends else "inactive",
            security=security,
        )

    def _is_known(self, line: MediaLine) -> bool:
        """Tell whether this is in a codec and a profile that we can take."""
        is_wanted = line.kind in self._behaviour.kinds and line.proto in PROFILES
        return is_wanted and choose_codec(line) is not None

    def _refuse_line(self, index: int, line: MediaLine) -> AnswerLine:
        self._stop(index)
        if line.port:
            self.refused.append(line.label)
        first = next(iter(line.codecs), 0)
        return AnswerLine(
            kind=line.kind, port=0, proto=line.proto, payload_type=first, label=line.label
        )

    def _guard(self, index: int, line: MediaLine) -> Guard | None:
        track = self._by_index.get(index)
        if track is not None:
            profile = track.guard.profile if track.guard is not None else PLAIN_PROFILE
            if profile == line.proto:
                if track.guard is not None:
                    track.guard.policy = self._srtp
                return track.guard

        def send_rtp(data: bytes, to: Address) -> None:
            self._by_index[index].send_rtp(data, to)

        def send_rtcp(data: bytes, to: Address) -> None:
            self._by_index[index].send_rtcp(data, to)

        return new_guard(
            line.proto, self._srtp, note=self._note, send_rtp=send_rtp, send_rtcp=send_rtcp
        )

    @property
    def _srtp(self) -> SrtpPolicy:
        return self._behaviour.srtp.after(self._answers)

    def _misbehave(self, lines: list[AnswerLine]) -> list[AnswerLine]:
        if self._behaviour.other_codec:
            lines = [replace(line, payload_type=18, encoding="G729") for line in lines]
        if self._srtp.answer_avp:
            lines = [replace(line, proto=PLAIN_PROFILE, security=()) for line in lines]
        if self._behaviour.fewer_mlines:
            lines = lines[:-1]
        if self._behaviour.extra_mline:
            lines = [*lines, AnswerLine(port=9, encoding="PCMU", label="extra")]
        return lines

    def _track(self, index: int, line: MediaLine, codec: tuple[int, str]) -> Track:
        known = {number: name for number, name in line.codecs.items() if name}
        track = self._by_index.get(index)
        if track is None:
            track = self._open(line, codec, known)
            self._by_index[index] = track
            self.tracks.append(track)
        elif (track.payload_type, track.encoding) != codec:
            track.payload_type, track.encoding = codec
            track.receiver.codecs |= known
            track.receiver.answered |= {codec[0]}
        track.rtcp_to = line.rtcp
        track.profile = line.proto
        return track

    def _open(self, line: MediaLine, codec: tuple[int, str], known: dict[int, str]) -> Track:
        rtp, rtcp = self._ports.open(self._host)
        wav = None
        if line.kind == "audio" and not self._behaviour.no_media:
            wav = WavWriter(self._file(line.label, "wav"))
        audio = {number: name for number, name in known.items() if name in ("PCMU", "PCMA")}
        receiver = Receiver(
            codecs=audio,
            answered=frozenset({codec[0]}),
            is_video=line.kind == "video",
            note=self._note,
            epoch=self._epoch,
            sink=wav,
        )
        receiver.raw = [] if self._behaviour.raw else None
        track = Track(
            label=line.label,
            kind=line.kind,
            payload_type=codec[0],
            encoding=codec[1],
            port=int(rtp.getsockname()[1]),
            rtp=rtp,
            rtcp=rtcp,
            rtcp_to=line.rtcp,
            receiver=receiver,
            wav=wav,
        )
        if not self._behaviour.no_media:
            track.listen((rtp, rtcp))
        return track

    def _file(self, label: str, suffix: str) -> Path:
        # Two labels may differ only in what a file name cannot hold, or name another file.
        name = safe_name(label)
        taken = {track.wav.path.stem for track in self.tracks if track.wav}
        while name in taken or name == "stereo":
            name += "_"
        return self._folder / f"{name}.{suffix}"

    def _stop(self, index: int) -> None:
        track = self._by_index.pop(index, None)
        if track is not None:
            track.turn("removed")
            track.close()

    def start(self) -> None:
        """Shake hands where keys come from a handshake; called when the SRC has our answer."""
        if not self._behaviour.no_media:
            for track in self._by_index.values():
                if track.guard is not None:
                    track.guard.start()

    def mark_answer(self) -> None:
        """Count what came before the answer is sent."""
        for track in self.tracks:
            track.drain()
            track.before_answer = track.receiver.packets

    def mark_bye(self) -> None:
        """Count from now on what comes although the session is over."""
        for track in self.tracks:
            track.end()

    def tick(self) -> None:
        """Work off what came in and send reports; call it about twice a second."""
        now = time.monotonic()
        for track in self.tracks:
            track.work()
            track.report(now)
            if track.wav is not None:
                track.wav.flush()

    @property
    def first_packet_at(self) -> float | None:
        """Return when the first packet of any m-line came, in seconds since the epoch."""
        times = [t.receiver.first_arrival for t in self.tracks if t.receiver.packets]
        return min(times) + self._epoch if times else None

    @property
    def secured(self) -> list[str]:
        """Return the labels of the m-lines that have keys, in order."""
        return [track.label for track in self.tracks if track.guard and track.guard.rtp.has_keys]

    def close(self) -> None:
        """Close sockets and files and write what needs the whole: stereo.wav, the raw files."""
        for track in self.tracks:
            track.close()
            if track.wav is not None:
                track.wav.close()
            if track.receiver.raw is not None:
                self._file_of(track, "raw").write_bytes(track.receiver.raw_payload())
        self._join()

    def _file_of(self, track: Track, suffix: str) -> Path:
        if track.wav is not None:
            return track.wav.path.with_suffix(f".{suffix}")
        return self._folder / f"{safe_name(track.label)}.{suffix}"

    def _join(self) -> None:
        wavs = [(track, track.wav) for track in self.tracks if track.wav is not None]
        starts = [track.receiver.clock_start for track, _ in wavs if track.receiver.packets]
        if len(wavs) < 2 or not starts:
            return
        sources = []
        for track, wav in wavs:
            late = track.receiver.clock_start - min(starts) if track.receiver.packets else 0.0
            sources.append((wav.path, round(late * RATE_HZ)))
        join(self._folder / "stereo.wav", sources)

    def describe(
        self,
        participant: Callable[[str], dict[str, str] | None],
        attribute: Callable[[str, Speech], tuple[list[dict[str, Any]], bool | None]],
    ) -> dict[str, Any]:
        """Return the `labels` of the summary.

        attribute: tells who spoke when, and whether the metadata agrees.
        """
        described: dict[str, Any] = {
            label: {"participant": participant(label), "codec": None, "refused": True, "packets": 0}
            for label in self.refused
        }
        for track in self.tracks:
            base = self._describe(track, participant(track.label))
            base["speakers"], base["agrees"] = attribute(track.label, track.receiver.speech)
            earlier = described.get(track.label, {})
            if "port" in earlier:
                # The m-line was removed and came back.
                described[f"{track.label}#{earlier['port']}"] = earlier
            described[track.label] = base
        return described

    def _describe(self, track: Track, participant: dict[str, str] | None) -> dict[str, Any]:
        got = track.receiver
        return {
            "kind": track.kind,
            "participant": participant,
            "codec": track.encoding,
            "profile": track.profile,
            "port": track.port,
            "packets": got.packets,
            "bytes": got.payload_bytes,
            "first_packet": iso(got.first_arrival + self._epoch) if got.packets else None,
            "last_packet": iso(got.last_arrival + self._epoch) if got.packets else None,
            "packets_before_answer": track.before_answer,
            "packets_after_bye": track.after_bye,
            "packets_while_inactive": track.while_inactive,
            "packets_at_old_port": track.at_old_port,
            "lost": got.lost,
            "duplicates": got.duplicates,
            "malformed": got.malformed,
            "ssrcs": [f"{ssrc:08x}" for ssrc in got.sources],
            "payload_types": {str(kind): n for kind, n in sorted(got.payload_types.items())},
            "telephone_event_packets": got.foreign_packets,
            "speech_s": round(got.speech_samples / RATE_HZ, 2),
            "duration_s": round(got.end_position / RATE_HZ, 3),
            "rtcp_reports": track.reports,
            "directions": [[iso(at + self._epoch), way] for at, way in track.directions],
            "srtp": track.guard.rtp.describe(track.guard.profile) if track.guard else None,
        }
