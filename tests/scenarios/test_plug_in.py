"""docs/plug-in.md, done word by word: calls of an operator's own Kamailio are recorded."""

import os
import signal
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from siprec.model import Call, Side, StreamState
from siprec.sids import SHARDS
from siprec.store import StoreUnavailable
from tests.rtpengine.daemon import Rtpengine, free_udp_port
from tests.scenarios.operators_proxy import (
    STOCK_NG,
    OperatorsProxy,
    blocks,
    write_kemi,
    write_stock,
)
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.renegotiation import change, end, other, turned, wait_quiet
from tests.scenarios.stack import Settings, Stack
from tests.scenarios.stage import RECORD, Stage
from tests.scenarios.talk import Talk, talk
from tests.scenarios.test_required import connect, dead_uri, wait_found_dead

pytestmark = pytest.mark.daemon


class PluggedStage(Stage):
    """A stage whose calls go through the operator's own proxy, and whose media is in its own."""

    operator: OperatorsProxy

    def called(self, *verbs: str) -> tuple[Phone, Phone, str]:
        """Make a caller and a registered callee, whose number has a document of these verbs."""
        caller, callee = self.pair()
        number = self.number(*verbs)
        register(callee, number)
        return caller, callee, number

    def recorded(self, *verbs: str) -> tuple[Phone, Phone]:
        """Give a caller and a callee whose call is being recorded."""
        caller, callee, number = self.called(*verbs or (RECORD,))
        caller.invite(number)
        answer(caller, callee)
        self.wait_recording(caller)
        return caller, callee


def settings(ng: str) -> Settings:
    """Give the settings of the guide, with the ports of the test."""
    (text,) = blocks("toml")
    assert STOCK_NG in text
    own: dict[str, dict[str, object]] = tomllib.loads(text.replace(STOCK_NG, ng))
    # The stack's own ports are for an rtpengine that it starts itself.
    own["rtpengine"] |= {"port_min": None, "port_max": None}
    return own


def register(phone: Phone, number: str) -> None:
    """Register a phone for a number."""
    host, port = phone.proxy
    phone.forget()
    phone.target = f"sip:{host}:{port}"
    phone.remote = f"<sip:{number}@{host}>"
    phone.request("REGISTER")
    phone.expect(200)
    phone.forget()


@contextmanager
def plugged_stage(folder: Path, *, choices: bool = False) -> Iterator[PluggedStage]:
    """Start a stage with Debian's configuration and the changes of the guide."""
    (folder / "rtpengine").mkdir()
    with Rtpengine(folder / "rtpengine") as rtpengine, ExitStack() as ends:
        ng = f"127.0.0.1:{rtpengine.ng[1]}"
        stage = ends.enter_context(PluggedStage(folder / "stage", settings=settings(ng)))
        write_stock(folder / "kamailio", ng, choices=choices)
        runtime = stage.stack.state / "runtime.json"
        stage.operator = ends.enter_context(
            OperatorsProxy(folder / "kamailio", port=stage.stack.sip_port, runtime=runtime)
        )
        yield stage
        assert stage.operator.errors() == []


@pytest.fixture(scope="module")
def any_plugged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PluggedStage]:
    """Give one stage for all tests of the stock configuration."""
    with plugged_stage(tmp_path_factory.mktemp("plugged")) as stage:
        yield stage


@pytest.fixture
def plugged(any_plugged: PluggedStage) -> Iterator[PluggedStage]:
    """Give the stage of all, which must not log an error during the test."""
    any_plugged.new_errors()
    yield any_plugged
    assert any_plugged.new_errors() == []


@pytest.mark.parametrize("who", list(Side))
def test_call_of_the_stock_configuration_is_recorded(plugged: PluggedStage, who: Side) -> None:
    caller, callee, number = plugged.called(RECORD)
    caller.invite(number)
    answer(caller, callee)
    with Talk(caller, callee) as talking:
        stream = plugged.wait_recording(caller)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(*turned((caller, callee), who))
    session = plugged.wait_session(stream)
    assert (session.ended_by, session.problems, session.metadata_errors) == ("src-bye", [], [])
    talking.missing([track.raw for track in session.tracks])
    call = plugged.wait_call_over(caller)
    assert (call.end_reason, call.number, call.is_plugged_in) == ("bye", number, True)
    assert plugged.alerts(caller) == []


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", list(Side))
def test_hold_is_known_and_the_recording_goes_on_after_it(
    plugged: PluggedStage, who: Side, method: str
) -> None:
    pair = plugged.recorded()
    one, two = turned(pair, who)
    hold, held = one.sdp(direction="sendonly"), two.sdp(direction="recvonly")
    change(one, two, method, offer=hold, reply=held)
    wait_quiet(plugged, pair, other(who))
    change(two, one, method, offer=two.sdp(), reply=one.sdp())
    wait_quiet(plugged, pair)
    assert end(plugged, pair).end_reason == "bye"


def test_offer_in_the_answer_is_recorded_as_well(plugged: PluggedStage) -> None:
    caller, callee, number = plugged.called(RECORD)
    caller.invite(number, sdp="")
    answer(caller, callee, offer=False)
    plugged.wait_recording(caller)
    assert end(plugged, (caller, callee)).end_reason == "bye"


def test_call_that_is_cancelled_is_known_as_that(plugged: PluggedStage) -> None:
    caller, callee, number = plugged.called(RECORD)
    caller.invite(number)
    ringing = callee.expect("INVITE")
    callee.reply(ringing, 180, "Ringing")
    caller.expect(180)
    caller.cancel()
    caller.expect(200)
    callee.reply(callee.expect("CANCEL"), 200, "OK")
    callee.reply(ringing, 487, "Request Terminated")
    caller.ack_refusal(caller.expect(487))
    callee.expect("ACK")
    assert plugged.wait_call_over(caller).end_reason == "cancelled"
    assert plugged.streams(caller) == []


def test_call_that_is_refused_is_known_as_that(plugged: PluggedStage) -> None:
    caller, callee, number = plugged.called(RECORD)
    caller.invite(number)
    callee.reply(callee.expect("INVITE"), 486, "Busy Here")
    callee.expect("ACK")
    caller.ack_refusal(caller.expect(486))
    assert plugged.wait_call_over(caller).end_reason == "486"
    assert plugged.streams(caller) == []


def test_bye_that_is_refused_ends_the_recording(plugged: PluggedStage) -> None:
    caller, callee = plugged.recorded()
    talk(caller, callee)
    caller.request("BYE")
    callee.reply(callee.expect("BYE"), 481, "Call Does Not Exist")
    caller.expect(481)
    plugged.wait_recorded(caller)
    assert plugged.wait_call_over(caller).end_reason == "bye"


def test_bye_with_other_tags_ends_nothing(plugged: PluggedStage) -> None:
    caller, callee = plugged.recorded()
    tag, caller.tag = caller.tag, "forged"
    caller.request("BYE")
    callee.reply(callee.expect("BYE"), 200, "OK")
    caller.expect(200)
    caller.tag = tag
    assert end(plugged, (caller, callee)).end_reason == "bye"


def test_stream_is_started_on_a_live_call_without_a_document(plugged: PluggedStage) -> None:
    caller, callee = plugged.pair()
    number = f"8{next(plugged._numbers)}"
    register(callee, number)
    caller.invite(number)
    answer(caller, callee)
    call = plugged.wait_call(caller)
    plugged.stack.cli("stream", "start", call.sid)
    plugged.wait_recording(caller)
    assert end(plugged, (caller, callee)).end_reason == "bye"


def test_verbs_that_route_are_told_of_and_the_call_is_recorded(plugged: PluggedStage) -> None:
    caller, callee = plugged.recorded(RECORD, "<Pause/>", "<Hangup/>")
    (alert,) = plugged.alerts(caller)
    assert (alert.code, alert.text) == (
        12200,
        "line 1: <Pause> is not followed: another proxy routes the call",
    )
    talk(caller, callee)
    hang_up(caller, callee)
    plugged.wait_recorded(caller)


def test_calls_go_on_while_redis_does_not_answer(plugged: PluggedStage) -> None:
    first = plugged.recorded()
    caller, callee, number = plugged.called(RECORD)
    redis = plugged.stack.pids("redis")
    for pid in redis:
        os.kill(pid, signal.SIGSTOP)
    try:
        hang_up(*first)
        caller.invite(number)
        answer(caller, callee)
        with Talk(caller, callee) as talking:
            talking.go_on()
        assert talking.lost == ([], [])
        hang_up(caller, callee)
    finally:
        for pid in redis:
            os.kill(pid, signal.SIGCONT)
    poll(lambda: all_shards_are_owned(plugged))
    for phone in (first[0], caller):
        assert ended(plugged, phone).end_reason == "bye"
    plugged.wait_stream(first[0], StreamState.STOPPED)
    plugged.new_errors()


def all_shards_are_owned(stage: Stage) -> bool:
    """Tell whether controllers own every shard, of a Redis that answers."""
    try:
        return stage.stack.store.leased_shards() == SHARDS
    except StoreUnavailable:
        return False


def ended(stage: Stage, phone: Phone) -> Call:
    """Wait until the phone's call is known, and known to be over."""
    poll(lambda: stage.call(phone) is not None, why=lambda: stage.stack.log)
    return stage.wait_call_over(phone)


def test_call_cannot_be_ended_by_rest(plugged: PluggedStage) -> None:
    caller, callee = plugged.recorded()
    account = plugged.stack.json("account", "show", "--token")
    call = plugged.wait_call(caller)
    reply = requests.post(
        f"http://127.0.0.1:{plugged.stack.api_port}/2010-04-01/Accounts/{account['sid']}"
        f"/Calls/{call.sid}.json",
        data={"Status": "completed"},
        auth=(account["sid"], account["token"]),
        timeout=30,
    )
    assert (reply.status_code, reply.json()["code"]) == (400, 21220)
    assert "a proxy that only reports" in reply.json()["message"]
    assert end(plugged, (caller, callee)).end_reason == "bye"


def test_routing_chooses_calls_and_refuses_those_that_must_be_recorded(tmp_path: Path) -> None:
    with plugged_stage(tmp_path, choices=True) as stage:
        number = "8001"
        sales, bob = stage.phone("sales-1"), stage.phone("bob")
        register(bob, number)
        sales.invite(number)
        answer(sales, bob)
        assert stage.wait_recording(sales).order.connector_name == "Default"
        assert end(stage, (sales, bob)).end_reason == "bye"

        alice = stage.phone("alice")
        alice.invite(number)
        answer(alice, bob)
        stage.wait_call(alice)
        talk(alice, bob)
        hang_up(alice, bob)
        assert stage.wait_call_over(alice).end_reason == "bye"
        assert stage.streams(alice) == []

        uri = dead_uri(stage)
        start = connect(stage, "Must", uri)
        wait_found_dead(stage, "Must", uri)
        must = stage.number(start, "<Dial><Number>1</Number></Dial>")
        register(bob, must)
        alice.invite(must)
        alice.ack_refusal(alice.expect(503))
        assert ended(stage, alice).end_reason == "refused"
        assert [alert.code for alert in stage.alerts(alice)] == [32011]
        assert bob.hears_nothing()


def test_reports_wait_for_a_stack_that_is_started_anew(tmp_path: Path) -> None:
    with plugged_stage(tmp_path) as stage:
        caller, callee, number = stage.called(RECORD)
        place(stage, caller, callee, number)
        stage.wait_recorded(caller)
        plain = stage.wait_call_over(caller)
        ng = stage.stack.runtime.settings.rtpengine.ng[0]
        stage.stack.stop()
        caller.invite(number)
        answer(caller, callee)
        hang_up(caller, callee)
        with Stack(stage.stack.folder, settings=settings(ng)) as stack:
            stage.stack = stack
            missed = ended(stage, caller)
            assert (missed.end_reason, missed.sid != plain.sid) == ("bye", True)
            place(stage, caller, callee, number)
            stage.wait_recorded(caller)


def place(stage: Stage, caller: Phone, callee: Phone, number: str) -> None:
    """Place a call that is recorded, and hang up."""
    caller.invite(number)
    answer(caller, callee)
    stage.wait_recording(caller)
    talk(caller, callee)
    hang_up(caller, callee)


def test_python_configuration_that_started_first_has_its_calls_recorded(tmp_path: Path) -> None:
    (tmp_path / "rtpengine").mkdir()
    runtime = tmp_path / "stage" / "stack" / "state" / "runtime.json"
    with Rtpengine(tmp_path / "rtpengine") as rtpengine, ExitStack() as ends:
        ng = f"127.0.0.1:{rtpengine.ng[1]}"
        port = free_udp_port()
        caller, callee = (
            ends.enter_context(Phone(name, ("127.0.0.1", port))) for name in ("alice", "bob")
        )
        write_kemi(tmp_path / "kamailio", ng, gateway=f"sip:{callee.claims}")
        proxy = ends.enter_context(
            OperatorsProxy(tmp_path / "kamailio", port=port, runtime=runtime)
        )
        caller.invite("7000")
        answer(caller, callee)
        talk(caller, callee)
        hang_up(caller, callee)
        stage = ends.enter_context(PluggedStage(tmp_path / "stage", settings=settings(ng)))
        stage.stack.set_number("7000", RECORD)
        poll(lambda: is_reported(stage, caller, callee), why=lambda: proxy.log)
        for who in Side:
            caller.invite("7000")
            answer(caller, callee)
            pair = turned((caller, callee), who)
            stage.wait_recording(caller)
            change(*pair, offer=pair[0].sdp(direction="inactive"), reply=pair[1].sdp())
            wait_quiet(stage, (caller, callee), *Side)
            change(*pair, offer=pair[0].sdp(), reply=pair[1].sdp())
            wait_quiet(stage, (caller, callee))
            talk(caller, callee)
            hang_up(*pair)
            stage.wait_recorded(caller)
            assert stage.wait_call_over(caller).end_reason == "bye"
        caller.invite("7000")
        callee.reply(callee.expect("INVITE"), 486, "Busy Here")
        callee.expect("ACK")
        caller.ack_refusal(caller.expect(486))
        assert stage.wait_call_over(caller).end_reason == "486"
        assert proxy.errors() == []


def is_reported(stage: Stage, caller: Phone, callee: Phone) -> bool:
    """Place a call that fails; tell whether the proxy has found the stack and reports it."""
    caller.invite("7000")
    callee.reply(callee.expect("INVITE"), 486, "Busy Here")
    callee.expect("ACK")
    caller.ack_refusal(caller.expect(486))
    try:
        poll(lambda: stage.call(caller), 1)
    except AssertionError:
        return False
    return True
