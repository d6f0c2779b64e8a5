"""What the parties of a call are told of its recording, and what becomes of what they wish."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from siprec.model import StreamState
from tests.control.processes import RedisServer
from tests.scenarios.breakable_tcp import BreakableTcp
from tests.scenarios.conftest import STAGE
from tests.scenarios.phone import Phone, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.sip_text import Header, Message, copied
from tests.scenarios.stack import Settings
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.talk import talk

pytestmark = pytest.mark.daemon

AWARE: list[Header] = [("Supported", "timer"), ("Supported", "100rel, record-aware")]
ON, PAUSED, OFF = ["a=record:on"], ["a=record:paused"], ["a=record:off"]

Pair = tuple[Phone, Phone]


def told(message: Message) -> list[str]:
    """Give what a message says of the recording."""
    return [line for line in message.body.splitlines() if line.startswith("a=record:")]


def call(
    stage: Stage,
    pair: Pair,
    *verbs: str,
    aware: Sequence[Phone] = (),
    offer: str | None = None,
    sdp: str | None = None,
) -> tuple[Message, Message]:
    """Let a call be answered; give the 200 as the caller gets it, and the ACK as the callee."""
    alice, bob = pair
    headers = {phone: AWARE if phone in aware else [] for phone in pair}
    alice.invite(stage.number(*verbs, dial(bob)), headers=headers[alice], sdp=offer)
    invite = bob.expect("INVITE")
    assert told(invite) == []
    bob.reply(invite, 200, "OK", sdp=sdp or bob.sdp(), headers=headers[bob])
    reply = alice.expect(200)
    alice.ack(reply, sdp=alice.sdp() if offer == "" else "")
    return reply, bob.expect("ACK")


def change(
    who: Phone, other: Phone, method: str = "INVITE", *, offer: str = "", sdp: str = ""
) -> tuple[list[str], list[str]]:
    """Offer the media again; give what the offer and the answer tell those who get them."""
    who.request(method, sdp=offer or who.sdp())
    request = other.expect(method)
    other.reply(request, 200, "OK", sdp=sdp or other.sdp())
    reply = who.expect(200)
    if method == "INVITE":
        who.ack(reply)
        other.expect("ACK")
    return told(request), told(reply)


@pytest.fixture
def pair(stage: Stage) -> Iterator[Pair]:
    """Give a caller and a callee, whose media is well in the end."""
    phones = stage.pair()
    yield phones
    talk(*phones)
    hang_up(*phones)
    stage.wait_call_over(phones[0])


# The first answer


@pytest.mark.parametrize(("verbs", "said"), [([RECORD], ON), ([], OFF)])
def test_answer_tells_an_aware_caller_whether_the_call_is_recorded(
    stage: Stage, pair: Pair, verbs: list[str], said: list[str]
) -> None:
    reply, _ = call(stage, pair, *verbs, aware=pair[:1])
    assert told(reply) == said


def test_answer_tells_an_unaware_caller_nothing(stage: Stage, pair: Pair) -> None:
    reply, _ = call(stage, pair, RECORD, aware=pair[1:])
    assert told(reply) == []


def test_early_media_tells_the_caller_before_the_answer(stage: Stage, pair: Pair) -> None:
    alice, bob = pair
    alice.invite(stage.number(RECORD, dial(bob)), headers=AWARE)
    invite = bob.expect("INVITE")
    bob.reply(invite, 183, "Session Progress", sdp=bob.sdp())
    assert told(alice.expect(183)) == ON
    bob.reply(invite, 200, "OK", sdp=bob.sdp())
    reply = alice.expect(200)
    assert told(reply) == ON
    alice.ack(reply)
    bob.expect("ACK")


@pytest.mark.parametrize(("verbs", "said"), [([RECORD], ON), ([], OFF)])
def test_ack_tells_an_aware_callee_that_was_not_offered_media(
    stage: Stage, pair: Pair, verbs: list[str], said: list[str]
) -> None:
    reply, ack = call(stage, pair, *verbs, aware=pair, offer="")
    assert (told(reply), told(ack)) == (said, said)


def test_ack_tells_an_unaware_callee_nothing(stage: Stage, pair: Pair) -> None:
    reply, ack = call(stage, pair, RECORD, aware=pair[:1], offer="")
    assert (told(reply), told(ack)) == (ON, [])


@pytest.mark.parametrize(
    ("verbs", "theirs", "said"),
    [([RECORD], "off", ON), ([RECORD], "paused", ON), ([], "off", OFF), ([], "on", ON)],
)
def test_indication_of_the_other_side_is_replaced_but_not_gainsaid(
    stage: Stage, pair: Pair, verbs: list[str], theirs: str, said: list[str]
) -> None:
    """Who says that it records may be another SRC (RFC 7866 §7.3.1)."""
    sdp = pair[1].sdp() + f"a=record:{theirs}\r\n"
    reply, _ = call(stage, pair, *verbs, aware=pair[:1], sdp=sdp)
    assert told(reply) == said


def test_multipart_keeps_its_other_parts_and_its_length(stage: Stage) -> None:
    """Over TCP a wrong Content-Length would end the conversation. The other part is binary."""
    alice, bob = (stage.phone(name, transport="tcp") for name in ("alice", "bob"))
    alice.invite(stage.number(RECORD, dial(bob)), headers=AWARE)
    invite = bob.expect("INVITE")
    other = "--b\r\nContent-Type: application/isup\r\n\r\n\udcff\x00\x01\r\n--b--\r\n"
    body = f"--b\r\nContent-Type: application/sdp\r\n\r\n{bob.sdp()}\r\n{other}"
    headers = copied(invite, ("Via", "Record-Route", "From", "Call-ID", "CSeq"))
    headers += [("To", f"{invite.one('To')};tag={bob.tag}"), ("Contact", f"<{bob.contact}>")]
    headers.append(("Content-Type", 'multipart/mixed;boundary="b"'))
    bob.send(Message("SIP/2.0 200 OK", tuple(headers), body), invite.source)
    reply = alice.expect(200)
    assert told(reply) == ON
    assert reply.body.endswith(other)
    assert reply.body.count("application/sdp") == 1
    alice.ack(reply)
    bob.expect("ACK")
    assert change(alice, bob) == ([], ON)
    hang_up(alice, bob)


@pytest.mark.parametrize("aware", [True, False])
def test_sdp_that_is_not_utf_8_is_passed_on(stage: Stage, pair: Pair, aware: bool) -> None:
    sdp = pair[1].sdp().replace("s=-", "s=M\udcfcller")
    reply, _ = call(stage, pair, RECORD, aware=pair[:1] if aware else (), sdp=sdp)
    assert told(reply) == (ON if aware else [])
    assert "ller\r\n" in reply.body


# Later


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", [0, 1])
def test_later_offers_and_answers_tell_both_who_are_aware(
    stage: Stage, pair: Pair, who: int, method: str
) -> None:
    call(stage, pair, RECORD, aware=pair)
    stage.wait_recording(pair[0])
    assert change(pair[who], pair[1 - who], method) == (ON, ON)


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("aware", [0, 1])
def test_later_sdp_tells_only_who_is_aware(stage: Stage, pair: Pair, who: int, aware: int) -> None:
    call(stage, pair, RECORD, aware=[pair[aware]])
    stage.wait_recording(pair[0])
    offer, answer = change(pair[who], pair[1 - who])
    assert (offer, answer) == (([], ON) if who == aware else (ON, []))


def test_late_offer_of_a_reinvite_tells_in_the_2xx_and_in_the_ack(stage: Stage, pair: Pair) -> None:
    alice, bob = pair
    call(stage, pair, RECORD, aware=pair)
    stage.wait_recording(alice)
    bob.request("INVITE")
    alice.reply(alice.expect("INVITE"), 200, "OK", sdp=alice.sdp())
    reply = bob.expect(200)
    assert told(reply) == ON
    bob.ack(reply, sdp=bob.sdp())
    assert told(alice.expect("ACK")) == ON


def test_pause_resume_start_and_stop_are_told_with_the_next_sdp(stage: Stage, pair: Pair) -> None:
    alice, bob = pair
    call(stage, pair, aware=pair)
    sid = stage.wait_call(alice).sid
    assert change(alice, bob) == (OFF, OFF)
    stage.stack.cli("stream", "start", sid, "--connector", "Default", "--name", "all", "--wait")
    assert change(alice, bob) == (ON, ON)
    stage.stack.cli("stream", "pause", "all", "--call", sid, "--wait", "--track", "inbound_track")
    assert change(bob, alice) == (ON, ON)
    stage.stack.cli("stream", "pause", "all", "--call", sid, "--wait")
    assert change(alice, bob, "UPDATE") == (PAUSED, PAUSED)
    stage.stack.cli("stream", "resume", "all", "--call", sid, "--wait")
    assert change(bob, alice) == (ON, ON)
    stage.stack.cli("stream", "stop", "all", "--call", sid, "--wait")
    assert change(bob, alice, "UPDATE") == (OFF, OFF)


def test_offer_that_echoes_what_it_was_told_keeps_one_line(stage: Stage, pair: Pair) -> None:
    alice, bob = pair
    call(stage, pair, RECORD, aware=pair)
    offer = alice.sdp() + "a=record:off\r\na=record:paused\r\n"
    assert change(alice, bob, offer=offer) == (ON, ON)


# What they wish


@pytest.fixture(scope="module")
def any_obliging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a stack that honours `a=recordpref`."""
    settings = {**STAGE, "awareness": {"preference": "honour"}}
    with Stage(tmp_path_factory.mktemp("obliging"), settings=settings) as stage:
        yield stage


@pytest.fixture
def obliging(any_obliging: Stage) -> Iterator[Stage]:
    """Give the stack that honours `a=recordpref`, which must not log an error."""
    any_obliging.new_errors()
    yield any_obliging
    assert any_obliging.new_errors() == []


def is_told(one: Phone, other: Phone, said: list[str]) -> None:
    """Wait until SDP that passes says so to both, as it must from then on."""
    poll(lambda: change(one, other) == (said, said))
    assert change(other, one) == (said, said)


def wish(phone: Phone, preference: str) -> str:
    """Write an offer or answer with a preference."""
    return phone.sdp() + f"a=recordpref:{preference}\r\n"


@pytest.mark.parametrize("who", [0, 1])
def test_preference_is_ignored_unless_the_operator_honours_it(
    stage: Stage, pair: Pair, who: int
) -> None:
    call(stage, pair, RECORD, aware=pair)
    stage.wait_recording(pair[0])
    one, other = pair[who], pair[1 - who]
    assert change(one, other, offer=wish(one, "off")) == (ON, ON)
    assert stage.wait_recording(pair[0]).paused == ()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("who", [0, 1])
def test_preference_is_honoured_and_the_answer_says_so(
    obliging: Stage, who: int, method: str
) -> None:
    pair = obliging.pair()
    call(obliging, pair, RECORD, aware=pair)
    stream = obliging.wait_recording(pair[0])
    one, other = pair[who], pair[1 - who]
    before = ON
    for preference, said in (("pause", PAUSED), ("on", ON), ("nopreference", ON), ("off", OFF)):
        _, answer = change(one, other, method, offer=wish(one, preference))
        # On a slow machine the controllers may need longer than the answer waits.
        assert answer in (before, said), preference
        is_told(one, other, said)
        before = said
    obliging.wait_stream(pair[0], StreamState.STOPPED)
    assert obliging.streams(pair[0])[0].sid == stream.sid
    assert change(one, other) == (OFF, OFF)
    hang_up(*pair)


def test_preference_in_an_answer_is_honoured(obliging: Stage) -> None:
    alice, bob = pair = obliging.pair()
    call(obliging, pair, RECORD, aware=pair)
    obliging.wait_recording(alice)
    _, answer = change(alice, bob, sdp=wish(bob, "pause"))
    assert answer in (ON, PAUSED)
    obliging.wait_stream(alice, StreamState.PAUSED)
    is_told(alice, bob, PAUSED)
    hang_up(*pair)


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize(
    ("preference", "said", "state"),
    [("off", OFF, StreamState.STOPPED), ("pause", PAUSED, StreamState.PAUSED)],
)
def test_preference_before_the_answer_is_honoured_from_the_start(
    obliging: Stage, who: int, preference: str, said: list[str], state: StreamState
) -> None:
    alice, bob = pair = obliging.pair()
    wishes: list[str | None] = [None, None]
    wishes[who] = wish(pair[who], preference)
    reply, _ = call(obliging, pair, RECORD, aware=pair, offer=wishes[0], sdp=wishes[1])
    assert told(reply) == said
    obliging.wait_stream(alice, state)
    assert change(alice, bob) == (said, said)
    hang_up(*pair)


# Without Redis


# Redis has 50 ms to answer in.
@pytest.mark.alone
def test_without_redis_an_aware_endpoint_is_told_that_it_may_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    with ExitStack() as opened:
        opened.callback(server.stop)
        redis = opened.enter_context(BreakableTcp(server.url.removeprefix("unix://")))
        url = f"redis://{redis.address}/0"
        settings: Settings = {"redis": {"url": url, "lookup_ms": None}}
        stage = opened.enter_context(Stage(tmp_path, settings=settings))
        alice, bob = pair = stage.pair()
        call(stage, pair, aware=[alice])
        stage.wait_call(alice)
        assert change(alice, bob) == ([], OFF)
        redis.deaf = True
        assert change(alice, bob) == ([], ON)
        assert change(bob, alice) == (ON, [])
        redis.deaf = False
        poll(lambda: change(alice, bob) == ([], OFF))
        hang_up(*pair)
        stage.wait_call_over(alice)
