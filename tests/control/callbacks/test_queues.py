"""Which callback is sent when."""

import pytest

from siprec.callback_store import Source
from siprec_control.callbacks import queues as q
from siprec_control.callbacks.queues import Fault, Job, Queues, pause_s
from tests.siprec.callbacks import callback

DEAD = "https://dead.example/status"
LIVE = "https://live.example/status"
FAULT = Fault(11200, "no answer")


def job(
    count: int, url: str = LIVE, *, stream: str = "", account: str = "AC1", at_ms: int = 0
) -> Job:
    """Give a callback; of a stream of its own, unless it is named."""
    made = callback(url, stream_sid=stream or f"SR{count}", account_sid=account)
    return Job(Source(0), f"{count}-0", made, at_ms)


def fill(queues: Queues, *jobs: Job) -> None:
    for each in jobs:
        assert queues.add(each, 0.0) is None


def taken(queues: Queues, now_s: float) -> list[str]:
    """Give the ids of what is sent."""
    return [each.entry_id for each in queues.take(now_s)]


def test_callbacks_of_one_stream_are_sent_one_after_the_other() -> None:
    queues = Queues()
    first, second = job(1, stream="SRx"), job(2, stream="SRx")
    fill(queues, first, second)
    assert queues.take(0.0) == [first]
    assert queues.take(0.0) == []
    queues.settled(first, 0.0)
    assert queues.take(0.0) == [second]
    queues.settled(second, 0.0)
    assert (queues.take(0.0), len(queues), queues.next_s()) == ([], 0, None)


def test_streams_do_not_wait_for_each_other() -> None:
    queues = Queues()
    fill(queues, job(1), job(2), job(3, stream="SR1"))
    assert taken(queues, 0.0) == ["1-0", "2-0"]


def test_receiver_gets_so_many_at_once() -> None:
    queues = Queues()
    jobs = [job(count) for count in range(20)]
    fill(queues, *jobs, job(99, DEAD))
    ours = {f"{count}-0" for count in range(q.AT_ONCE_TO_ONE)}
    assert set(taken(queues, 0.0)) == ours | {"99-0"}
    queues.settled(jobs[3], 0.0)
    assert taken(queues, 0.0) == [f"{q.AT_ONCE_TO_ONE}-0"]


def test_all_receivers_together_get_so_many_at_once() -> None:
    queues = Queues()
    jobs = [job(count, f"https://r{count}.example/") for count in range(q.AT_ONCE + 5)]
    fill(queues, *jobs)
    assert len(queues.take(0.0)) == q.AT_ONCE
    queues.settled(jobs[0], 0.0)
    queues.settled(jobs[1], 0.0)
    assert len(queues.take(0.0)) == 2


def test_callback_that_failed_holds_up_its_stream_only() -> None:
    queues = Queues()
    failing, after, other = job(1, stream="SRx"), job(2, stream="SRx"), job(3)
    fill(queues, failing, after, other)
    assert queues.take(0.0) == [failing, other]
    queues.postponed(failing, FAULT, 5.0, is_deaf=False)
    queues.settled(other, 5.0)
    fill(queues, job(4))
    assert taken(queues, 5.0) == ["4-0"]
    assert queues.next_s() == 5.0 + pause_s(1)
    assert queues.take(5.9) == []
    assert queues.take(6.0) == [failing]
    queues.postponed(failing, FAULT, 6.0, is_deaf=False)
    assert queues.take(7.9) == []
    assert queues.take(8.0) == [failing]
    assert failing.tries == 2
    queues.given_up(failing, 8.0)
    assert queues.take(8.0) == [after]


def test_pauses_double_up_to_a_longest_one() -> None:
    assert [pause_s(tries) for tries in (1, 2, 3, 9, 10, 5_000)] == [1, 2, 4, 256, 300, 300]


def test_deaf_receiver_is_asked_by_one_callback_more_and_more_seldom() -> None:
    queues = Queues()
    jobs = [job(count, DEAD) for count in range(20)]
    fill(queues, *jobs)
    under_way = queues.take(0.0)
    for each in under_way:
        queues.postponed(each, FAULT, 10.0, is_deaf=True)
    # Eight at once are one failure.
    assert queues.next_s() == 10.0 + pause_s(1)
    assert queues.take(10.9) == []
    (probe,) = queues.take(11.0)
    assert queues.take(500.0) == []
    queues.postponed(probe, FAULT, 26.0, is_deaf=True)
    assert queues.take(27.9) == []
    (probe,) = queues.take(28.0)
    queues.settled(probe, 29.0)
    assert len(queues.take(29.0)) == q.AT_ONCE_TO_ONE


def test_order_of_a_stream_survives_a_deaf_receiver() -> None:
    queues = Queues()
    jobs = [job(count, DEAD, stream="SRx") for count in range(3)]
    fill(queues, *jobs)
    sent = []
    for now_s in range(40):
        for each in queues.take(now_s):
            if now_s < 20:
                queues.postponed(each, FAULT, now_s, is_deaf=True)
            else:
                sent.append(each.entry_id)
                queues.settled(each, now_s)
    assert sent == ["0-0", "1-0", "2-0"]


def test_many_deaf_receivers_leave_room_for_others() -> None:
    queues = Queues()
    deaf = [job(count, f"https://d{count}.example/") for count in range(200)]
    fill(queues, *deaf)
    now_s = 0.0
    while batch := queues.take(now_s):
        for each in batch:
            queues.postponed(each, FAULT, now_s, is_deaf=True)
        if all(each.tries for each in deaf):
            break
    now_s = 100.0
    assert len(queues.take(now_s)) == q.AT_ONCE_TO_DEAF
    fill(queues, *(job(1_000 + count, f"https://l{count}.example/") for count in range(70)))
    assert len(queues.take(now_s)) == q.AT_ONCE


def test_receiver_that_answers_again_moves_back_among_the_others() -> None:
    queues = Queues()
    jobs = [job(count, DEAD) for count in range(3)]
    fill(queues, jobs[0])
    queues.take(0.0)
    queues.postponed(jobs[0], FAULT, 0.0, is_deaf=True)
    fill(queues, *jobs[1:])
    (probe,) = queues.take(1.0)
    # An answer, if not a good one.
    queues.postponed(probe, Fault(15003, "500"), 1.0, is_deaf=False)
    assert len(queues.take(1.0)) == 2


def test_accounts_do_not_share_a_receiver() -> None:
    queues = Queues()
    first, second = job(1, account="AC1"), job(2, account="AC2")
    fill(queues, first)
    queues.take(0.0)
    queues.postponed(first, FAULT, 0.0, is_deaf=True)
    fill(queues, second)
    assert queues.take(0.0) == [second]


def test_refused_streams_of_a_call_with_other_receivers_do_not_wait_for_each_other() -> None:
    queues = Queues()
    first, second = job(1, DEAD, stream="SRx"), job(2, LIVE, stream="SRx")
    fill(queues, first, second)
    assert queues.take(0.0) == [first, second]


def test_receiver_has_only_so_many_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(q, "PER_RECEIVER", 3)
    queues = Queues()
    jobs = [job(count, DEAD) for count in range(3)]
    fill(queues, *jobs)
    too_slow = queues.add(job(3, DEAD), 0.0)
    assert too_slow == Fault(11200, "3 callbacks wait for its receiver: it is too slow")
    queues.take(0.0)
    queues.postponed(jobs[0], Fault(11200, "it is deaf"), 0.0, is_deaf=True)
    deaf = queues.add(job(4, DEAD), 0.0)
    assert deaf == Fault(11200, "3 callbacks wait for its receiver: it is deaf")
    assert queues.add(job(5, LIVE), 0.0) is None


def test_what_waited_for_a_day_is_taken_out() -> None:
    queues = Queues()
    old = [job(count, DEAD, stream="SRx", at_ms=5) for count in range(2)]
    young = job(2, DEAD, stream="SRx", at_ms=6)
    fill(queues, *old, young)
    queues.take(0.0)
    # What is under way is left alone.
    assert queues.take_expired(5 + q.KEPT_MS) == []
    queues.postponed(old[0], FAULT, 0.0, is_deaf=True)
    assert queues.take_expired(4 + q.KEPT_MS) == []
    assert queues.take_expired(5 + q.KEPT_MS) == old
    assert [each.fault for each in old] == [FAULT, FAULT]
    assert len(queues) == 1
    assert queues.take(1.0) == [young]


def test_stream_all_of_which_was_taken_out_may_go_on() -> None:
    queues = Queues()
    old, new = job(1, stream="SRx"), job(2, stream="SRx", at_ms=q.KEPT_MS)
    fill(queues, old)
    assert queues.take_expired(q.KEPT_MS) == [old]
    fill(queues, new)
    assert queues.take(0.0) == [new]
    queues.settled(new, 0.0)
    assert queues.take_expired(q.KEPT_MS) == []
    assert queues.take(0.0) == []
