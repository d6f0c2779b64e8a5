"""Cases of sipp-scenarios/ of calls that belong together: a transfer, and a Session-ID."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from tests.scenarios.by_hand import BOB, CAROL, heard, readme, sound
from tests.scenarios.sipp import SCENARIOS, Sipp
from tests.scenarios.srs import Session
from tests.scenarios.studio import CALLEE_SOUND, CALLER_SOUND, SpokenCall, Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

HALVES = ("ab30317f1a784dc48ff824d0d3715d86", "47755a9de7794ba387653f2099600ef2")


def end(studio: Studio, scenario: str, **keys: str) -> Sipp:
    """Start a callee with keys, for one call."""
    sounds = {"callee.alaw": CALLEE_SOUND}
    return studio.rig.sipp(scenario, port=studio.stack.ports.take(), sounds=sounds, keys=keys)


def number_to(studio: Studio, case: str, ports: Mapping[int, int]) -> str:
    """Give a number with a case's document; `ports` are those of its callees here."""
    text = (SCENARIOS / case / "document.xml").read_text()
    text = text.replace(">+15550002<", f"><Sip>sip:bob@127.0.0.1:{BOB}</Sip><")
    for by_hand, here in ports.items():
        text = text.replace(f":{by_hand}<", f":{here}<")
    number = studio.number(None)
    path = studio.rig.folder / f"{number}.xml"
    path.write_text(text)
    studio.stack.cli("number", "set", number, "--twiml", str(path))
    return number


def call(
    studio: Studio, scenario: str, number: str, callee_name: str = "Bob", **keys: str
) -> SpokenCall:
    """Call a number with a caller that needs keys."""
    caller = studio.rig.sipp(
        scenario,
        port=studio.stack.ports.take(),
        remote=studio.stack.proxy,
        service=number,
        keys={"caller_name": "Ann", "callee_name": callee_name, **keys},
        sounds={"caller.alaw": CALLER_SOUND},
        more=("-recv_timeout", "50000"),
    )
    return SpokenCall(studio, number, caller)


def told(session: Session) -> Any:
    """Give what the SRS knew in the end, from the metadata."""
    return session.summary["metadata_history"][-1]


def ann(session: Session) -> str:
    """Give the participant_id of Ann."""
    parties = told(session)["participants"].items()
    (found,) = [participant_id for participant_id, each in parties if each["name"] == "Ann"]
    return str(found)


def test_transferred_call_is_of_the_group_of_the_first(studio: Studio) -> None:
    carol = end(studio, "speech/callee.xml")
    other = number_to(studio, "transfer", {CAROL: carol.port})
    bob = end(studio, "transfer/callee.xml", other=other)
    number = number_to(studio, "both-tracks", {BOB: bob.port})
    first = call(studio, "transfer/caller.xml", number)
    old = sound(studio, first)
    bob.tell(first.call().sip_call_id)
    first.caller.done()
    bob.done()
    before = studio.session(old)
    referrer = f"127.0.0.1:{bob.port}"
    second = call(studio, "transfer/again.xml", other, "Carol", referrer=referrer)
    new = sound(studio, second)
    second.hang_up()
    carol.done()
    after = studio.session(new)
    assert len(told(before)["groups"]) == 1
    assert told(after)["groups"] == told(before)["groups"]
    assert ann(after) == ann(before)
    (stopped,) = told(before)["sessions"].values()
    assert stopped["stop"] is not None
    assert told(after)["sessions"].keys().isdisjoint(told(before)["sessions"])
    assert first.alerts() + second.alerts() == []
    heard(before)
    heard(after)


def test_session_id_of_both_ends_is_in_the_metadata(studio: Studio) -> None:
    assert f"\n    {HALVES[0]};remote={HALVES[1]}\n" in readme("session-id")
    # Others than in the README: calls of other runs may have had those.
    caller_id, callee_id = uuid4().hex, uuid4().hex
    bob = end(studio, "session-id/callee.xml", session_id=callee_id)
    number = number_to(studio, "both-tracks", {BOB: bob.port})
    spoken = call(studio, "session-id/caller.xml", number, session_id=caller_id)
    stream = sound(studio, spoken)
    spoken.hang_up()
    bob.done()
    session = studio.session(stream)
    (known,) = told(session)["sessions"].values()
    assert known["sip_session_ids"] == [f"{caller_id};remote={callee_id}"]
    assert spoken.alerts() == []
    heard(session)
