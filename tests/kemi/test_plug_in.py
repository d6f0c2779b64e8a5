"""What an operator's own routing reports: by a strict KSR, a real outbox and a real Redis."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.connector import Connector, Srs
from siprec.inbox import ByeAnswered, CallAnswered, CallChanged, CallFailed, Entry
from siprec.model import Side, StreamOrder
from siprec.numbers import Number
from siprec.record import to_json
from siprec.settings import RedisSettings, RtpengineSettings, Runtime, Settings
from siprec.store import Client, Store
from siprec.twiml import compile_document
from siprec_kemi.plug_in import PlugIn
from siprec_kemi.plug_in import runtime_watch as watch
from siprec_kemi.plug_in.runtime_watch import RuntimeWatch
from tests.control.processes import RedisServer
from tests.kemi.outboxes import OpenOutbox
from tests.kemi.strict_ksr import StrictKsr

NG = "127.0.0.1:2223"
ACCOUNT = "AC" + "0" * 32
CALL_ID = "a@b"
START = '<Start><Siprec name="all"/></Start>'
CALLER = {"$ci": CALL_ID, "$ft": "from", "$tt": "", "$rU": "100", "$ru": "sip:100@h"}


@pytest.fixture
def runtime(
    tmp_path: Path, redis_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Runtime:
    """Give what `siprec run` has written."""
    settings = Settings(
        redis=RedisSettings(url=redis_server.url, prefix=prefix),
        rtpengine=RtpengineSettings(ng=(NG,)),
    )
    settings = replace(settings, account=replace(settings.account, sid=ACCOUNT))
    made = Runtime(settings=settings, node="north", route_key="00" * 32)
    monkeypatch.setenv(watch.VARIABLE, str(tmp_path / "runtime.json"))
    write(made)
    return made


@pytest.fixture
def plug_in(runtime: Runtime, outbox: OpenOutbox, ksr: StrictKsr) -> PlugIn:
    """Give a plug-in that has a new call at hand."""
    ksr.variables |= CALLER
    ksr.returns |= {"textops.has_body_type": -1, "textops.has_body": -1, "htable.sht_get": None}
    return PlugIn(outbox)


@pytest.fixture
def store(client: Client, prefix: str) -> Store:
    """Give the store."""
    return Store(client, prefix)


def write(runtime: Runtime) -> None:
    path = Path(os.environ[watch.VARIABLE])
    fresh = path.with_suffix(".new")
    fresh.write_text(to_json(runtime))
    fresh.replace(path)


def set_number(store: Store, *verbs: str, url: str = "") -> None:
    text = f"<Response>{''.join(verbs)}</Response>"
    program = to_json(compile_document(text.encode()))
    store.put_number(
        Number(pattern="100", account_sid=ACCOUNT, twiml=text, program=program, url=url)
    )


def answer(plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox) -> CallAnswered:
    """Let the call be answered; give what is reported."""
    ksr.variables |= {"$rs": 200, "$rm": "INVITE", "$tt": "to"}
    plug_in.answered()
    ((_, entry),) = outbox.take()
    assert isinstance(entry, CallAnswered)
    return entry


def inside(ksr: StrictKsr, method: str, *, by: Side = Side.CALLER) -> None:
    """Let a request of the call be at hand."""
    ((parameter,),) = ksr.named("rr.add_rr_param")
    tags = ("from", "to") if by is Side.CALLER else ("to", "from")
    ksr.variables |= {
        "$rm": method,
        "$ft": tags[0],
        "$tt": tags[1],
        "$hdrc(Route)": 2,
        "$(hdr(Route)[0])": "<sip:192.0.2.9;lr>",
        "$(hdr(Route)[1])": f"<sip:192.0.2.8;lr>, <sip:192.0.2.1;lr{parameter}>",
    }


def reported(outbox: OpenOutbox) -> list[Entry]:
    return [entry for _, entry in outbox.take()]


def test_call_is_reported_at_its_answer_with_the_streams_of_its_number(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox, store: Store
) -> None:
    set_number(store, START)
    assert plug_in.offered()
    assert plug_in.offered()
    assert len(ksr.named("rr.add_rr_param")) == 1
    assert outbox.take() == []
    entry = answer(plug_in, ksr, outbox)
    assert (entry.call.is_plugged_in, entry.call.rtpengine, entry.call.node) == (True, NG, "north")
    assert (entry.call.number, entry.call.account_sid) == ("100", ACCOUNT)
    assert [order.name for order in entry.orders] == ["all"]
    assert entry.notices == ()
    plug_in.answered()
    assert outbox.take() == []


def test_media_and_routing_are_left_alone(plug_in: PlugIn, ksr: StrictKsr) -> None:
    ksr.returns["textops.has_body_type"] = 1
    plug_in.offered()
    ksr.variables |= {"$rs": 200, "$rm": "INVITE", "$tt": "to"}
    plug_in.answered()
    inside(ksr, "INVITE")
    plug_in.changed()
    plug_in.answered()
    inside(ksr, "BYE")
    plug_in.changed()
    plug_in.answered()
    touched = {name.partition(".")[0] for name, _ in ksr.calls}
    assert "rtpengine" not in touched
    left = {name for name, _ in ksr.calls if name.startswith("tm")}
    assert left <= {"tm.t_get_status_code", "tm.t_is_canceled"}
    assert not ksr.named("rr.record_route")


def test_routing_names_number_and_connector(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox, store: Store
) -> None:
    set_number(store, START)
    ksr.variables |= {
        "$rU": "0",
        "$avp(siprec_number)": "100",
        "$avp(siprec_connector)": "Vault",
    }
    plug_in.offered()
    entry = answer(plug_in, ksr, outbox)
    assert entry.orders == (StreamOrder(connector_name="Vault"), StreamOrder(name="all"))
    assert entry.call.number == "100"


def test_connector_is_enough_for_a_call_without_a_number(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    ksr.variables["$avp(siprec_connector)"] = "Vault"
    plug_in.offered()
    entry = answer(plug_in, ksr, outbox)
    assert entry.orders == (StreamOrder(connector_name="Vault"),)
    assert entry.call.account_sid == ACCOUNT


@pytest.mark.parametrize(
    ("verbs", "code", "text"),
    [
        ("<Pause/>", 12200, "<Pause> is not followed"),
        ("<Reject/>", 12200, "<Reject> is not followed"),
        ("<Hangup/>", 12200, "<Hangup> is not followed"),
        ("<Redirect>https://h.example/</Redirect>", 12200, "<Redirect> is not followed"),
        ('<Stop><Siprec name="none"/></Stop>', 31952, "no stream 'none' was started"),
    ],
)
def test_what_of_a_document_cannot_be_done_is_told(
    plug_in: PlugIn,
    ksr: StrictKsr,
    outbox: OpenOutbox,
    store: Store,
    verbs: str,
    code: int,
    text: str,
) -> None:
    set_number(store, START, verbs)
    plug_in.offered()
    entry = answer(plug_in, ksr, outbox)
    assert [order.name for order in entry.orders] == ["all"]
    (notice,) = entry.notices
    assert notice.code == code
    assert text in notice.text


def test_document_at_a_url_is_not_fetched(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox, store: Store
) -> None:
    set_number(store, START, url="https://h.example/")
    plug_in.offered()
    entry = answer(plug_in, ksr, outbox)
    assert [order.name for order in entry.orders] == ["all"]
    assert [notice.code for notice in entry.notices] == [11200]


def test_what_a_connector_asks_of_the_proxy_role_is_told(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox, store: Store
) -> None:
    srs = (Srs(uri="sip:r@192.0.2.1"),)
    connector = Connector(account_sid=ACCOUNT, name="Default", srs=srs)
    store.put_connector(replace(connector, required=True, end_call_s=5, early_media=True))
    set_number(store, START, "<Dial><Number>1</Number></Dial>")
    assert plug_in.offered()
    entry = answer(plug_in, ksr, outbox)
    texts = [notice.text for notice in entry.notices]
    assert ["end the call" in text for text in texts] == [True, False]
    assert ["early media" in text for text in texts] == [False, True]


@pytest.mark.parametrize(("named", "found"), [("", None), ("1", "[::1]:2224"), ("2", None)])
def test_of_several_rtpengines_the_routing_names_one(
    plug_in: PlugIn,
    ksr: StrictKsr,
    outbox: OpenOutbox,
    runtime: Runtime,
    named: str,
    found: str | None,
) -> None:
    settings = runtime.settings
    both = replace(settings.rtpengine, ng=(NG, "[::1]:2224"))
    write(replace(runtime, settings=replace(settings, rtpengine=both)))
    if named:
        ksr.variables["$avp(siprec_rtpengine)"] = named
    plug_in.offered()
    entry = answer(plug_in, ksr, outbox)
    assert entry.call.rtpengine == (found or "")
    assert {notice.code for notice in entry.notices} == (set() if found else {32014})


def test_call_that_fails_is_reported_once(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    plug_in.offered()
    ksr.variables |= {"$rm": "INVITE", "$T(id_index)": 1}
    ksr.returns |= {"tm.t_get_status_code": 486, "tm.t_is_canceled": -1}
    for _ in range(2):
        plug_in.ended()
    (entry,) = reported(outbox)
    assert isinstance(entry, CallFailed)
    assert (entry.call.end_reason, entry.media_released) == ("486", True)


@pytest.mark.parametrize("by", list(Side))
def test_hold_and_bye_are_reported(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox, by: Side
) -> None:
    plug_in.offered()
    call = answer(plug_in, ksr, outbox).call
    ksr.returns["textops.has_body_type"] = 1
    inside(ksr, "INVITE", by=by)
    ksr.variables["$rb"] = "v=0\r\nm=audio 4000 RTP/AVP 8\r\na=inactive\r\n"
    plug_in.changed()
    plug_in.answered()
    (change,) = reported(outbox)
    assert isinstance(change, CallChanged)
    assert (change.call_sid, change.quiet) == (call.sid, tuple(Side))
    ksr.returns["textops.has_body_type"] = -1
    inside(ksr, "BYE", by=by)
    plug_in.changed()
    plug_in.answered()
    (bye,) = reported(outbox)
    assert isinstance(bye, ByeAnswered)
    assert (bye.call_sid, bye.status, bye.media_released) == (call.sid, 200, True)


def test_bye_that_failed_is_reported(plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox) -> None:
    plug_in.offered()
    call = answer(plug_in, ksr, outbox).call
    inside(ksr, "BYE")
    ksr.returns["tm.t_get_status_code"] = 481
    plug_in.changed()
    plug_in.ended()
    (bye,) = reported(outbox)
    assert isinstance(bye, ByeAnswered)
    assert (bye.call_sid, bye.status) == (call.sid, 481)


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_request_of_a_call_that_was_not_reported_is_let_through(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox, method: str
) -> None:
    plug_in.offered()
    inside(ksr, method)
    ksr.variables["$ci"] = "another@b"
    ksr.variables["$avp(siprec)"] = None
    ksr.variables["$rs"] = 200
    for report in (plug_in.changed, plug_in.answered, plug_in.ended):
        assert report()
    assert outbox.take() == []


def test_fault_of_ours_is_logged_and_lets_the_call_go_on(
    plug_in: PlugIn, ksr: StrictKsr, outbox: OpenOutbox
) -> None:
    ksr.variables["$avp(siprec)"] = "no record"
    assert plug_in.offered()
    assert "siprec offered: RecordError" in str(ksr.named("log")[-1])


# What `siprec run` has written


def test_nothing_is_reported_until_the_stack_has_started(
    runtime: Runtime, outbox: OpenOutbox, ksr: StrictKsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.unlink(os.environ[watch.VARIABLE])
    clock = [0.0]
    monkeypatch.setattr(watch, "monotonic_s", lambda: clock[0])
    watched = RuntimeWatch()
    for _ in range(3):
        assert watched.look() is None
        clock[0] += 1
    assert len(ksr.named("log")) == 1
    write(runtime)
    clock[0] += 1
    assert watched.look() == runtime


def test_stack_that_started_anew_is_found_and_one_that_stopped_stays_in_force(
    runtime: Runtime, ksr: StrictKsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(watch, "monotonic_s", lambda: clock[0])
    watched = RuntimeWatch()
    first = watched.look()
    assert first == runtime
    write(replace(runtime, node="south"))
    assert watched.look() is first
    clock[0] += 1
    assert (found := watched.look()) is not None
    assert found.node == "south"
    os.unlink(os.environ[watch.VARIABLE])
    clock[0] += 1
    assert watched.look() is found
    assert ksr.named("log") == []


@pytest.mark.parametrize("wrong", ["unset", "damaged"])
def test_what_is_wrong_with_the_runtime_is_logged(
    runtime: Runtime, ksr: StrictKsr, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    if wrong == "unset":
        monkeypatch.delenv(watch.VARIABLE)
    else:
        Path(os.environ[watch.VARIABLE]).write_text("{}")
    assert RuntimeWatch().look() is None
    (line,) = ksr.named("log")
    assert "SIPREC_RUNTIME" in str(line[1])
