"""How a proxy follows a program."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from siprec.model import CallbackMethod, StreamOrder
from siprec.twiml import compile_document
from siprec.twiml_run import (
    Advance,
    DialOut,
    Fetch,
    Program,
    Refuse,
    RejectReason,
    Source,
    Step,
    Target,
    TargetKind,
    Verb,
    Wait,
    advance,
)

_A, _B = StreamOrder(name="a"), StreamOrder(name="b")


def _program(text: str) -> Program:
    return compile_document(f"<Response>{text}</Response>".encode())


def _number(value: str) -> Target:
    return Target(kind=TargetKind.NUMBER, value=value)


def test_advance_notes_streams_up_to_the_dial() -> None:
    program = _program(
        "<Start><Siprec name='a'/><Siprec name='b'/></Start>"
        "<Stop><Siprec name='a'/><Siprec name='c'/></Stop><Dial>1</Dial><Hangup/>"
    )
    first = advance(program, 0, ())
    dial = DialOut(targets=(_number("1"),), timeout_s=30)
    assert first == Advance(action=dial, position=5, pending=(_B,), unknown_stops=("c",))
    second = advance(program, first.position, first.pending)
    declined = Refuse(status=603, reason="Decline")
    assert second == Advance(action=declined, position=6, pending=(_B,))


def test_advance_takes_dials_one_after_the_other() -> None:
    program = _program("<Dial timeout='5'>1</Dial><Pause length='2'/><Dial>2</Dial>")
    first = advance(program, 0, ())
    assert first.action == DialOut(targets=(_number("1"),), timeout_s=5)
    second = advance(program, first.position, first.pending)
    assert second.action == Wait(length_s=2)
    third = advance(program, second.position, second.pending)
    assert third.action == DialOut(targets=(_number("2"),), timeout_s=30)
    last = advance(program, third.position, third.pending)
    assert last.action == Refuse(status=480, reason="Temporarily Unavailable")
    assert advance(program, last.position, last.pending) == last


def test_advance_refuses_as_the_document_says() -> None:
    busy, rejected = _program("<Reject reason='busy'/>"), _program("<Reject/>")
    assert advance(busy, 0, ()).action == Refuse(status=486, reason="Busy Here")
    assert advance(rejected, 0, ()).action == Refuse(status=603, reason="Decline")
    assert advance(Program(), 0, ()).action == Refuse(status=480, reason="Temporarily Unavailable")


def test_advance_keeps_two_orders_of_one_name_and_stops_both() -> None:
    twice = "<Start><Siprec name='a'/></Start><Start><Siprec name='a'/></Start>"
    assert advance(_program(twice), 0, ()).pending == (_A, _A)
    stopped = advance(_program(f"{twice}<Stop><Siprec name='a'/></Stop>"), 0, ())
    assert (stopped.pending, stopped.unknown_stops) == ((), ())


def test_twiml_run_loads_no_xml() -> None:
    code = "import sys, siprec.twiml_run, siprec.record; sys.exit('lxml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


_steps = st.one_of(
    st.builds(Step, do=st.just(Verb.START), order=st.sampled_from([_A, _B, StreamOrder()])),
    st.builds(Step, do=st.just(Verb.STOP), name=st.sampled_from(["a", "b", "c"])),
    st.builds(Step, do=st.just(Verb.DIAL), targets=st.just((_number("1"),))),
    st.builds(Step, do=st.just(Verb.PAUSE)),
    st.builds(Step, do=st.just(Verb.REJECT), reason=st.sampled_from(RejectReason)),
    st.builds(Step, do=st.just(Verb.HANGUP)),
)


@given(st.lists(_steps, max_size=20).map(tuple))
def test_advance_always_moves_on_to_a_refusal(steps: tuple[Step, ...]) -> None:
    program, position, pending = Program(steps=steps), 0, tuple[StreamOrder, ...]()
    for _ in range(len(steps) + 1):
        result = advance(program, position, pending)
        assert position <= result.position <= len(steps)
        if isinstance(result.action, Refuse):
            return
        assert result.position > position
        position, pending = result.position, result.pending
    raise AssertionError("the program does not end")


def test_redirect_leaves_the_document_for_another_one() -> None:
    program = _program(
        "<Start><Siprec name='a'/></Start><Redirect method='GET'> /b?c=d </Redirect><Hangup/>"
    )
    ahead = advance(program, 0, ())
    assert ahead.action == Fetch(source=Source(url="/b?c=d", method=CallbackMethod.GET))
    assert [order.name for order in ahead.pending] == ["a"]
    plain = advance(_program("<Redirect>https://h/x</Redirect>"), 0, ())
    assert plain.action == Fetch(source=Source(url="https://h/x"))
