"""Status callbacks that could not be sent: refused when ordered, left out of a document."""

from siprec import inbox as i
from siprec.model import StreamOrder
from siprec.status_urls import StatusUrls
from siprec_web.overrides import url_fault
from tests.siprec.recorders import SHARD, answer, choose_default, make_call, make_recorder
from tests.siprec.streams import NOW_MS

BAD = "https://a.example/status#rc=99"
WHY = "status_callback: URL fragment: rc must be a number from 0 to 5"
URLS = StatusUrls(url_fault)


def test_url_that_can_be_used_is_left_alone() -> None:
    order = StreamOrder(status_callback="https://a.example/status#rc=2")
    orders = [order, StreamOrder()]
    assert URLS.refusal(order) is None
    assert URLS.mended(orders) == orders
    assert URLS.notices(orders) == []


def test_order_with_a_url_that_cannot_be_used_is_refused_and_alerted() -> None:
    recorder = make_recorder()
    call = answer(recorder)
    recorder.take_changes()
    order = StreamOrder(status_callback=BAD)
    entry = i.StartOrdered(request_id="r", call_sid=call.sid, order=order)
    recorder.apply(SHARD, entry, choose_default, NOW_MS)
    changes = recorder.take_changes()
    ((_, _, verdict),) = changes.verdicts
    assert (verdict.accepted, verdict.code, verdict.text) == (False, 12200, WHY)
    ((_, alert),) = changes.alerts
    assert (alert.code, alert.text) == (12200, WHY)
    assert not changes.streams


def test_stream_of_a_document_is_recorded_without_its_callback() -> None:
    recorder = make_recorder()
    call = make_call()
    orders = (StreamOrder(name="one", status_callback=BAD), StreamOrder(name="two"))
    recorder.apply(SHARD, i.CallAnswered(call=call, orders=orders), choose_default, NOW_MS)
    changes = recorder.take_changes()
    assert [s.order.name for s in changes.streams.values()] == ["one", "two"]
    assert all(s.order.status_callback is None for s in changes.streams.values())
    alert = changes.alerts[0][1]
    assert (alert.code, alert.call_sid) == (12200, call.sid)
    assert alert.text == f"{WHY}: stream 'one' is recorded without callbacks"
