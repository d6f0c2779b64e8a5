"""Cases of sipp-scenarios/ as their READMEs have them: ends and recorders of their own."""

import re
import shlex
from collections.abc import Mapping, Sequence

from siprec.model import Call, Stream
from tests.scenarios.polling import WITHIN_S, poll
from tests.scenarios.sipp import SCENARIOS, Sipp
from tests.scenarios.sounds import place_in
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.studio import CALLEE_SOUND, CALLER_SOUND, SpokenCall, Studio

# Where the READMEs have the callee and a second one.
BOB, CAROL = 5080, 5081
TALK_S = 0.5


def callee(studio: Studio, scenario: str) -> Sipp:
    """Start a callee for one call."""
    sounds = {"callee.alaw": CALLEE_SOUND, "callee.ulaw": CALLEE_SOUND}
    return studio.rig.sipp(scenario, port=studio.stack.ports.take(), sounds=sounds)


def place(
    studio: Studio,
    document: str,
    *,
    caller: str = "speech/caller.xml",
    callees: Mapping[int, int] | None = None,
    connector: str = "Default",
    more: Sequence[str] = (),
) -> SpokenCall:
    """Call a fresh number with a case's document.

    `callees` are the ports that the callees of the READMEs have here; without Bob, the studio's
    answers. The streams of the document go to `connector`. `more` are switches for the caller.
    """
    text = (SCENARIOS / document / "document.xml").read_text()
    text = text.replace("<Siprec ", f'<Siprec connectorName="{connector}" ')
    ports = {BOB: studio.stack.gateway_port, **(callees or {})}
    text = text.replace(">+15550002<", f"><Sip>sip:bob@127.0.0.1:{BOB}</Sip><")
    for by_hand, here in ports.items():
        text = text.replace(f":{by_hand}<", f":{here}<")
    number = studio.number(None)
    path = studio.rig.folder / f"{number}.xml"
    path.write_text(text)
    studio.stack.cli("number", "set", number, "--twiml", str(path))
    end = studio.rig.sipp(
        caller,
        port=studio.stack.ports.take(),
        remote=studio.stack.proxy,
        service=number,
        keys={"caller_name": "Ann", "callee_name": "Bob"},
        sounds={"caller.alaw": CALLER_SOUND, "caller.ulaw": CALLER_SOUND},
        more=("-recv_timeout", "50000", *more),
    )
    return SpokenCall(studio, number, end)


def over(call: SpokenCall, timeout_s: float = WITHIN_S) -> Call:
    """Wait for the end of a call and its streams, which something else brings about."""
    poll(lambda: call.call().ended_ms, timeout_s, why=lambda: str(call.call()))
    poll(lambda: all(s.state.is_final for s in call.streams()), why=lambda: str(call.streams()))
    return call.call()


def sound(studio: Studio, call: SpokenCall, srs: ReferenceSrs | None = None) -> Stream:
    """Wait until stream `both` is recorded and some sound of it is at the SRS."""
    stream = call.recording("both")
    studio.hear(stream, TALK_S, srs)
    return stream


def both_voices(studio: Studio, stream: Stream, srs: ReferenceSrs | None = None) -> None:
    """Hold a session to what it must be, caller on label 1 and callee on label 2."""
    heard(studio.session(stream, srs))


def heard(session: Session) -> None:
    """Check that caller and callee are on labels 1 and 2, from the first packet to the last."""
    for track, sent in zip(session.tracks, (CALLER_SOUND, CALLEE_SOUND), strict=True):
        assert place_in(track.raw, sent) is not None, f"label {track.label} is not what was sent"


def readme(case: str) -> str:
    """Give the README of a case."""
    return (SCENARIOS / case / "README.md").read_text()


def switches(case: str, number: int = 0) -> list[str]:
    """Give the switches of the `number`-th `try_srs` in the README of a case."""
    return shlex.split(re.findall(r"^    try_srs (.+)$", readme(case), re.M)[number])


def promised(case: str, call: SpokenCall, srs: ReferenceSrs) -> None:
    """Check that the README shows the only alert about a call."""
    (alert,) = call.alerts()
    line = f"{alert.level.value}  {alert.code}  SR…    {alert.text}"
    shown = line.replace(srs.address, "127.0.0.1:5090")
    assert shown in readme(case), shown


def bad_recorder(studio: Studio, *words: str) -> tuple[ReferenceSrs, str]:
    """Start a recorder with switches, under a connector that no controller has seen before."""
    srs = studio.rig.srs(*words)
    name = f"By hand {srs.address}"
    studio.connect(name, srs)
    return srs, name
