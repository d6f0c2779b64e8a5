"""Draws docs/states.md from the transition table; `make docs` writes it."""

from collections.abc import Iterable

from siprec import events as e
from siprec.leg_end import CANCEL_MS, STOP_MS
from siprec.leg_setup import CONNECT_MS, FORK_MS, FORK_TRIES
from siprec.model import StreamState
from siprec.transitions import IGNORED, LATE, TABLE, Transition

S = StreamState

MEANING: dict[StreamState, str] = {
    S.FORKING: "rtpengine is asked for a copy of the call's audio: "
    f"{FORK_MS / 1000:g} s a time, at most {FORK_TRIES} times.",
    S.INVITING: "The SRS has the INVITE and has not answered; it gets `answer_s` of the connector.",
    S.CONNECTING: "The SRS answered, and rtpengine is given its answer; "
    f"it gets {CONNECT_MS / 1000:g} s.",
    S.RECORDING: "Media flows to the SRS. The call, the SRS, rtpengine or a person ends it; "
    "OPTIONS in the dialog ask every `options_s` whether the SRS still knows it.",
    S.PAUSED: "Of a stream only: its legs are in `recording`, and rtpengine has agreed to send "
    "nothing to any SRS.",
    S.CANCELLING: "Stopped before the SRS answered: CANCEL is sent, its final reply is awaited "
    f"for {CANCEL_MS / 1000:g} s.",
    S.STOPPING: "The fork is being released and BYE waits for its reply, "
    f"{STOP_MS / 1000:g} s at most.",
    S.STOPPED: "Ended as somebody wished. Final.",
    S.FAILED: "Ended by an error, which `error_code` and an alert tell. Final.",
}

_HEAD = """# The states of a stream

<!-- Drawn from siprec/transitions.py by `make docs`. Do not edit. -->

A stream is one recording of a call, and each of its legs one dialog with one SRS. Each event
moves a leg as `siprec.transitions.TABLE` says. The stream is in the state of its most advanced
leg, in this order: recording, connecting, inviting, forking, stopping, cancelling; when all legs
have ended it is stopped, or failed if no leg was left that could record. One that records is
paused instead while rtpengine sends nothing to any SRS; no leg is ever in that state.
`siprec.step` decides what becomes of the stream when a leg fails: with `failover` the next SRS
gets a leg, with `parallel` the other legs go on. The values are stored in Redis (redis.md).

While a leg records, somebody may pause it: first rtpengine cuts the media off, then a re-INVITE
tells the SRS (`a=inactive`), and when somebody resumes, rtpengine sends again as soon as the SRS
has agreed (`siprec.leg_gate`). What is paused when an INVITE is sent is offered `a=inactive` in it.
What changes in the call, and the session timer, take the same way: `siprec.leg_dialog` holds what
the SRS knows against what it should, and sends one request at a time, the questions whether it
knows the dialog (OPTIONS) among them. Only BYE waits for nothing.
"""

_EVENTS = """## Every event in every state

The cells name the states that may follow. *same*: handled, and the state stays as it is. *BYE*:
a 2xx that nobody waits for any more is hung up. An empty cell: ignored.
"""


def states_markdown() -> str:
    """Give docs/states.md: a sentence for each state, the diagram, and the whole table."""
    parts = [_HEAD, _states(), "## The way through\n", _diagram(), _EVENTS, _table(), _glossary()]
    return "\n".join(parts)


def _states() -> str:
    return _markdown_table(
        ("State", "Meaning"), ((f"`{state}`", MEANING[state]) for state in StreamState)
    )


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {S.FORKING}"]
    for state in TABLE:
        for to in TABLE:
            names = [kind.__name__ for kind, t in TABLE[state].items() if to in t.to]
            if names:
                lines.append(f"    {state} --> {to}: {', '.join(names)}")
        if state.is_final:
            lines.append(f"    {state} --> [*]")
    return "\n".join([*lines, "```\n"])


def _table() -> str:
    rows = (
        (f"`{kind.__name__}`", *(_cell(row[kind]) for row in TABLE.values()))
        for kind in e.LegEvent.__args__
    )
    return _markdown_table(("Event", *(f"`{state}`" for state in TABLE)), rows)


def _cell(transition: Transition) -> str:
    if transition is IGNORED:
        return ""
    if transition is LATE:
        return "*BYE*"
    return ", ".join(transition.to) or "*same*"


def _glossary() -> str:
    meanings = ((f"`{kind.__name__}`", _first_sentence(kind)) for kind in e.LegEvent.__args__)
    return "## Events\n\n" + _markdown_table(("Event", "Meaning"), meanings)


def _first_sentence(kind: type[e.LegEvent]) -> str:
    paragraph = (kind.__doc__ or "").partition("\n\n")[0]
    return " ".join(paragraph.split())


def _markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
