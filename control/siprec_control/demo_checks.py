"""Does each file of the demo hold the voice that it should, and nothing of the other?"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from siprec_control.demo_match import Match, is_silent, match
from siprec_control.demo_story import to_ms
from siprec_control.demo_voices import CALLEE, CALLER, RATE_HZ, DemoFailed, Voice, read_wav

# Bit-exact copies correlate with 1.000, two different voices with less than 0.1.
SAME = 0.95
OTHER = 0.30

PACKET_MS = 20
# What two clocks and a busy machine may add or take.
PACKETS_TOLERANCE = 5
MARGIN_S = 1.0
MIDDLE_MARGIN_S = 0.5

Samples = Sequence[int]


class Check(NamedTuple):
    """One thing that must hold, in a sentence with what was measured."""

    holds: bool
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One session folder of the recorder: its files and its summary."""

    name: str
    folder: Path
    summary: Mapping[str, Any]

    @classmethod
    def read(cls, name: str, folder: Path) -> "Recording":
        """Read the folder.

        Raises:
            DemoFailed: no summary in it.
        """
        try:
            summary = json.loads((folder / "summary.json").read_text())
        except (OSError, ValueError) as error:
            raise DemoFailed(f"{folder}/summary.json: {error}") from error
        return cls(name=name, folder=folder, summary=summary)

    @property
    def labels(self) -> Mapping[str, Mapping[str, Any]]:
        """Give what was received, by the label of the media line."""
        labels: Mapping[str, Mapping[str, Any]] = self.summary["labels"]
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The samples that the caller and the callee sent."""

    caller: Samples
    callee: Samples

    def of(self, voice: Voice) -> Samples:
        """Give what a voice sent."""
        return self.caller if voice is CALLER else self.callee


def check_voice(what: str, recorded: Samples, voice: Voice, sent: Sent) -> tuple[Check, Match]:
    """Check that samples hold one voice and not the other; also tell where they begin in it."""
    other = CALLEE if voice is CALLER else CALLER
    own, foreign = match(recorded, sent.of(voice)), match(recorded, sent.of(other))
    is_own = own.correlation >= SAME and foreign.correlation <= OTHER
    holds = is_own and not is_silent(recorded)
    likeness = f"{voice.name} {own.correlation:.3f}, {other.name} {foreign.correlation:.3f}"
    heard = "it is silent" if is_silent(recorded) else f"likeness: {likeness}"
    return Check(holds, f"{what} holds {voice.name}'s voice and not {other.name}'s ({heard})"), own


def check_whole(
    recording: Recording, sent: Sent, parameter: tuple[str, str], talk_s: float
) -> Iterator[Check]:
    """Check the recording of both voices: two mono files, and one stereo file of both.

    `parameter` is the custom one that the recorder was to be told, `talk_s` the call's length.
    """
    yield from _check_session(recording)
    name, value = parameter
    has_parameter = [name, value] in recording.summary["parameters"]
    yield Check(has_parameter, f"{recording.name}: the recorder was told {name} = {value}")
    yield Check(len(recording.labels) == 2, f"{recording.name}: two voices were received")
    for (label, got), voice in zip(recording.labels.items(), (CALLER, CALLEE), strict=False):
        yield from _check_label(recording, label, got, voice)
        (samples,) = read_wav(recording.folder / f"{label}.wav")
        what = f"{recording.name}/{label}.wav"
        length_s = len(samples) / RATE_HZ
        is_whole = talk_s - MARGIN_S <= length_s <= talk_s + MARGIN_S
        yield Check(is_whole, f"{what}: {length_s:.2f} s of a talk of {talk_s:.2f} s")
        yield check_voice(what, samples, voice, sent)[0]
    channels = read_wav(recording.folder / "stereo.wav")
    for side, voice, channel in zip(("left", "right"), (CALLER, CALLEE), channels, strict=True):
        what = f"{recording.name}/stereo.wav {side}"
        yield check_voice(what, channel, voice, sent)[0]


def check_caller_only(recording: Recording, whole: Recording, sent: Sent) -> Iterator[Check]:
    """Check the recording that was started and stopped in the middle of the call."""
    yield from _check_session(recording)
    yield Check(len(recording.labels) == 1, f"{recording.name}: one voice was received")
    for label, got in list(recording.labels.items())[:1]:
        yield from _check_label(recording, label, got, CALLER)
        (samples,) = read_wav(recording.folder / f"{label}.wav")
        check, own = check_voice(f"{recording.name}/{label}.wav", samples, CALLER, sent)
        yield check
        yield _check_middle(recording, whole, samples, own, sent)


def check_secured(recording: Recording, trusted: str) -> Iterator[Check]:
    """Check that a recording was ordered over TLS, and each of its packets came as SRTP.

    `trusted` is the CA of the connector: without its certificate there is no recording.
    """
    verified = recording.summary["verified"]
    version = verified["tls_version"]
    yield Check(
        version in ("TLSv1.2", "TLSv1.3"),
        f"{recording.name}: ordered over {version or verified['transport']}"
        f" (certificate checked: {trusted} alone is trusted)",
    )
    for label, got in recording.labels.items():
        counts = {"authenticated_packets": 0} | (got["srtp"] or {})
        bad = sum(counts.get(f"{how}_packets", 0) for how in ("failed", "replayed"))
        clear = sum(counts.get(f"clear_{what}packets", 0) for what in ("", "rtcp_"))
        genuine = counts["authenticated_packets"]
        yield Check(
            0 < genuine == got["packets"] and not bad and not clear,
            f"{recording.name}/{label}.wav: {genuine} packets of SRTP"
            f" ({counts.get('suite', 'none')}), {bad} not genuine, {clear} in clear",
        )


def _check_middle(
    recording: Recording, whole: Recording, samples: Samples, own: Match, sent: Sent
) -> Check:
    label = next(iter(whole.labels))
    (all_samples,) = read_wav(whole.folder / f"{label}.wav")
    begin_s = match(all_samples, sent.caller).offset_s
    end_s = begin_s + len(all_samples) / RATE_HZ
    from_s, to_s = own.offset_s, own.offset_s + len(samples) / RATE_HZ
    margin_s = MIDDLE_MARGIN_S
    holds = begin_s + margin_s <= from_s < to_s <= end_s - margin_s
    return Check(
        holds,
        f"{recording.name} is the middle only ({from_s:.2f} s to {to_s:.2f} s of what"
        f" {CALLER.name} said; {whole.name} is {begin_s:.2f} s to {end_s:.2f} s)",
    )


def _check_session(recording: Recording) -> Iterator[Check]:
    summary = recording.summary
    problems = [*summary["problems"], *_metadata_errors(summary)]
    found = (
        "; ".join(problems)
        if problems
        else "the recorder found no fault with SIP, SDP and metadata"
    )
    yield Check(not problems, f"{recording.name}: {found}")
    by = summary["ended_by"]
    yield Check(by == "src-bye", f"{recording.name}: ended by Kamailio with BYE ({by})")


def _metadata_errors(summary: Mapping[str, Any]) -> list[str]:
    if not summary["metadata"]:
        return ["no metadata"]
    return [error for document in summary["metadata"] for error in document["errors"]]


def _check_label(
    recording: Recording, label: str, got: Mapping[str, Any], voice: Voice
) -> Iterator[Check]:
    where = f"{recording.name}/{label}.wav"
    name = (got["participant"] or {}).get("name") or "nobody"
    yield Check(name == voice.name, f"{where}: the metadata says that {name} speaks")
    packets = int(got["packets"])
    expected = _expected_packets(got)
    holds = packets > 0 and abs(packets - expected) <= PACKETS_TOLERANCE
    yield Check(
        holds and got["lost"] == 0 and got["packets_after_bye"] == 0,
        f"{where}: {packets} packets in {expected * PACKET_MS / 1000:.2f} s,"
        f" {got['lost']} lost, {got['packets_after_bye']} after the end",
    )


def _expected_packets(got: Mapping[str, Any]) -> int:
    if got["first_packet"] is None:
        return 0
    return round((to_ms(got["last_packet"]) - to_ms(got["first_packet"])) / PACKET_MS) + 1


def report(checks: Sequence[Check], say: Callable[[str], None]) -> bool:
    """Say how each check went; tell whether all hold."""
    for check in checks:
        say(f"  {'ok    ' if check.holds else 'FAILED'}  {check.what}")
    return all(check.holds for check in checks)
