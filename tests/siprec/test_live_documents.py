"""Documents on live calls: which verbs make sense, and where following one stops."""

import pytest

from siprec.errors import TwimlError
from siprec.live_documents import LiveDocument, at_once, live_program
from siprec.record import from_json, to_json
from siprec.twiml import Program, Source, Verb, compile_document
from tests.siprec.streams import ACCOUNT_SID, CALL_SID

START = '<Start><Siprec name="a"/></Start>'
STOP = '<Stop><Siprec name="a"/></Stop>'


def program(*verbs: str) -> Program:
    return compile_document(f"<Response>{''.join(verbs)}</Response>".encode())


def verbs(made: Program) -> list[Verb]:
    return [step.do for step in made.steps]


def test_verbs_that_make_sense_are_kept_up_to_the_last_that_can_be_reached() -> None:
    before = (START, STOP, "<Pause/>")
    kept = [Verb.START, Verb.STOP, Verb.PAUSE]
    assert live_program(program(*before)) == program(*before)
    lasts = {"<Redirect>/next</Redirect>": Verb.REDIRECT, "<Hangup/>": Verb.HANGUP}
    for last, verb in lasts.items():
        assert verbs(live_program(program(*before, last, "<Reject/>"))) == [*kept, verb]


@pytest.mark.parametrize("verb", ["<Dial>+1555</Dial>", "<Reject/>"])
def test_verb_of_a_call_that_is_not_answered_is_refused_by_name(verb: str) -> None:
    name = verb[1:].partition(">")[0].rstrip("/")
    with pytest.raises(TwimlError, match=f"line 1: <{name}> cannot be followed") as caught:
        live_program(program(START, verb))
    assert caught.value.code == 12200


@pytest.mark.parametrize(
    ("made", "count"),
    [
        (program(), 0),
        (program(START, STOP), 2),
        (program(START, "<Pause/>", STOP), 1),
        (program("<Redirect>http://h/</Redirect>"), 0),
    ],
)
def test_steps_before_the_first_that_waits_are_at_once(made: Program, count: int) -> None:
    assert at_once(made) == count


def test_document_knows_its_step_and_names_it() -> None:
    made = LiveDocument(
        token="t",
        call_sid=CALL_SID,
        account_sid=ACCOUNT_SID,
        program=program(START, STOP),
        position=1,
        fetches=2,
        fallback=(Source(url="http://h/"),),
    )
    assert made.step is not None
    assert (made.step.do, made.request_id) == (Verb.STOP, "t-2-1")
    assert from_json(LiveDocument, to_json(made)) == made
    for over in (
        LiveDocument(token="t", call_sid=CALL_SID, account_sid=ACCOUNT_SID),
        LiveDocument(
            token="t", call_sid=CALL_SID, account_sid=ACCOUNT_SID, program=program(), position=0
        ),
    ):
        assert over.step is None
