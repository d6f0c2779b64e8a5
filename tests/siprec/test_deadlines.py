"""When something is due."""

from siprec.deadlines import SWEPT, Deadlines


def test_deadlines_come_in_their_order_and_not_before_their_time() -> None:
    deadlines = Deadlines(lambda due_ms, sid: True)
    for due_ms, sid in ((30, "c"), (10, "a"), (20, "b")):
        deadlines.add(due_ms, sid)
    assert deadlines.next_ms == 10
    assert list(deadlines.pass_to(9)) == []
    assert list(deadlines.pass_to(20)) == ["a", "b"]
    assert deadlines.next_ms == 30


def test_deadline_that_is_void_is_passed_over() -> None:
    deadlines = Deadlines(lambda due_ms, sid: sid == "b")
    deadlines.add(10, "a")
    deadlines.add(10, "b")
    assert list(deadlines.pass_to(10)) == ["b"]
    assert deadlines.next_ms is None


def test_deadline_that_is_added_meanwhile_and_is_due_comes_too() -> None:
    deadlines = Deadlines(lambda due_ms, sid: True)
    deadlines.add(10, "a")
    seen = []
    for sid in deadlines.pass_to(20):
        seen.append(sid)
        if sid == "a":
            deadlines.add(15, "b")
            deadlines.add(25, "c")
    assert (seen, deadlines.next_ms) == (["a", "b"], 25)


def test_deadlines_that_are_void_do_not_pile_up() -> None:
    deadlines = Deadlines(lambda due_ms, sid: sid == "kept")
    deadlines.add(1, "kept")
    for due_ms in range(2, 5 * SWEPT):
        deadlines.add(due_ms, "void")
    assert len(deadlines) <= SWEPT
    assert list(deadlines.pass_to(5 * SWEPT)) == ["kept"]


def test_deadlines_that_are_awaited_are_all_kept() -> None:
    deadlines = Deadlines(lambda due_ms, sid: True)
    for due_ms in reversed(range(3 * SWEPT)):
        deadlines.add(due_ms, f"{due_ms}")
    assert list(deadlines.pass_to(3 * SWEPT)) == [f"{n}" for n in range(3 * SWEPT)]
