"""Who is told of a recording by `a=record`, by policy, and what becomes of what parties wish."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from siprec.inbox import Entry, PauseOrdered, StopOrdered
from siprec.keys import ShardKeys
from siprec.model import Call, Side, Stream, StreamOrder, StreamState
from siprec.record import to_json
from siprec.settings import AwarenessSettings, OnPreference, RedisSettings, ToldTo
from siprec.sids import make_stream_sid
from siprec.store import Client
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.invitation import Invitation
from tests.kemi.strict_ksr import StrictKsr

NOWHERE = "redis://127.0.0.1:1"
SHARD = 0x2A
CALL = Call(sid="CA2a" + "0" * 30, account_sid="AC" + "0" * 32, sip_call_id="a@b")
RECORDED = Invitation(call=CALL, instance=0, orders=(StreamOrder(), StreamOrder(name="b")))
PLAIN = Invitation(call=CALL, instance=0)
SIDS = [make_stream_sid(CALL.sid, ordinal) for ordinal in (1, 2)]
BOTH = (Side.CALLER, Side.CALLEE)

ALL = AwarenessSettings(attribute=ToldTo.ALL)
NONE = AwarenessSettings(attribute=ToldTo.NONE)
HONOUR = AwarenessSettings(preference=OnPreference.HONOUR)


class Desk:
    """The awareness of a worker, and what it ordered. Reads what `ksr` has."""

    def __init__(
        self, ksr: StrictKsr, settings: AwarenessSettings, url: str = NOWHERE, prefix: str = "p:"
    ) -> None:
        self.ksr = ksr
        self.put: list[Entry] = []
        self.breaker = Breaker()

        def note(call_sid: str, entry: Entry) -> None:
            assert call_sid == CALL.sid
            self.put.append(entry)

        self.awareness = Awareness(
            settings, RedisSettings(url=url, prefix=prefix), self.breaker, note
        )
        self.known: dict[str, str] = {}
        ksr.variables |= {"$ci": "a@b", "$ft": "from", "$tt": "to"}
        ksr.returns["htable.sht_get"] = None

    def knows(self, told: str) -> None:
        """Let everybody be aware, and have been told that last."""
        self.ksr.returns["htable.sht_get"] = told

    def says(self, *supported: str, preference: str = "") -> None:
        """Let the message at hand have these Supported headers, and an SDP with a preference."""
        self.ksr.variables["$hdrc(Supported)"] = len(supported)
        for index, value in enumerate(supported):
            self.ksr.variables[f"$(hdr(Supported)[{index}])"] = value
        wish = f"a=recordpref:{preference}\r\n" if preference else ""
        self.ksr.variables["$rb"] = f"v=0\r\nm=audio 9 RTP/AVP 8\r\n{wish}"

    def noted(self) -> list[tuple[object, ...]]:
        """Give the endpoints that were noted, with what they are told."""
        return [arguments[1:] for arguments in self.ksr.named("htable.sht_sets")]


@pytest.fixture
def desk(ksr: StrictKsr) -> Callable[..., Desk]:
    return lambda settings, *where: Desk(ksr, settings, *where)


@pytest.fixture
def stored(client: Client, prefix: str) -> Callable[..., None]:
    """Write the call with streams into Redis."""

    def store(*streams: Stream) -> None:
        key = ShardKeys(prefix, SHARD).call(CALL.sid)
        client.hset(key, "call", to_json(CALL))
        for each in streams:
            client.hset(key, each.sid, to_json(each))

    return store


def stream(ordinal: int, paused: tuple[Side, ...] = ()) -> Stream:
    return Stream(
        sid=SIDS[ordinal - 1],
        call_sid=CALL.sid,
        account_sid=CALL.account_sid,
        order=StreamOrder(),
        state=StreamState.PAUSED if paused else StreamState.RECORDING,
        paused=paused,
    )


def url_of(client: Client) -> str:
    path: str = client.connection_pool.connection_kwargs["path"]
    return f"unix://{path}"


def test_aware_endpoints_are_noted_with_what_they_are_told(desk: Callable[..., Desk]) -> None:
    one = desk(AwarenessSettings())
    one.says("record-aware")
    assert one.awareness.invited(RECORDED) is None
    assert one.awareness.answering(RECORDED) == "on"
    assert one.noted() == [("a@b to", "on"), ("a@b from", "on")]


def test_answer_without_sdp_notes_an_aware_callee(desk: Callable[..., Desk]) -> None:
    one = desk(AwarenessSettings())
    one.says("record-aware")
    one.awareness.answered(PLAIN)
    assert one.noted() == [("a@b to", "off")]


def test_unaware_endpoints_are_told_nothing_and_cost_no_redis(desk: Callable[..., Desk]) -> None:
    one = desk(AwarenessSettings())
    one.says("timer")
    assert one.awareness.invited(RECORDED) is None
    assert one.awareness.answering(RECORDED) is None
    assert one.awareness.requested(CALL.sid) is None
    assert one.awareness.replied(CALL.sid) is None
    assert one.noted() == []
    # Redis is nowhere, and was not missed.
    assert not one.breaker.is_open()
    assert one.ksr.named("log") == []


def test_policy_all_tells_everybody_from_the_invite_on(desk: Callable[..., Desk]) -> None:
    one = desk(ALL)
    one.says()
    assert one.awareness.invited(RECORDED) == "on"
    assert one.awareness.invited(PLAIN) == "off"
    assert one.awareness.answering(PLAIN) == "off"
    assert one.awareness.requested(CALL.sid) == "on"


def test_policy_none_tells_nobody_and_looks_at_nothing(desk: Callable[..., Desk]) -> None:
    one = desk(NONE)
    one.says("record-aware", preference="off")
    before = len(one.ksr.calls)
    assert one.awareness.invited(RECORDED) is None
    assert one.awareness.answering(RECORDED) is None
    assert one.awareness.requested(CALL.sid) is None
    one.awareness.answered(RECORDED)
    one.awareness.over()
    assert one.ksr.calls[before:] == []


def test_policy_none_still_honours_what_parties_wish(
    desk: Callable[..., Desk], client: Client, prefix: str, stored: Callable[..., None]
) -> None:
    stored(stream(1))
    one = desk(replace(HONOUR, attribute=ToldTo.NONE), url_of(client), prefix)
    one.says("record-aware", preference="off")
    assert one.awareness.requested(CALL.sid) is None
    assert [type(entry) for entry in one.put] == [StopOrdered]
    assert one.noted() == []


@pytest.mark.parametrize(
    ("streams", "told"),
    [
        ([], "off"),
        ([stream(1)], "on"),
        ([stream(1, BOTH)], "paused"),
        ([stream(1, BOTH), stream(2)], "on"),
    ],
)
def test_later_sdp_says_how_the_streams_are(
    desk: Callable[..., Desk],
    client: Client,
    prefix: str,
    stored: Callable[..., None],
    streams: list[Stream],
    told: str,
) -> None:
    stored(*streams)
    one = desk(AwarenessSettings(), url_of(client), prefix)
    one.says()
    one.knows("on")
    assert one.awareness.requested(CALL.sid) == told
    assert one.noted() == [("a@b to", told)]


def test_call_that_no_controller_has_seen_yet_is_as_it_was_told(
    desk: Callable[..., Desk], client: Client, prefix: str
) -> None:
    one = desk(AwarenessSettings(), url_of(client), prefix)
    one.says()
    one.knows("off")
    assert one.awareness.requested(CALL.sid) == "off"


def test_without_redis_what_may_be_is_said_and_the_next_does_not_wait(
    desk: Callable[..., Desk],
) -> None:
    one = desk(AwarenessSettings())
    one.says()
    one.knows("off")
    assert one.awareness.requested(CALL.sid) == "on"
    assert one.breaker.is_open()
    assert one.awareness.replied(CALL.sid) == "on"
    assert "Redis is away" in str(one.ksr.named("log")[-1])


def test_damaged_stream_is_said_to_record(
    desk: Callable[..., Desk], client: Client, prefix: str, stored: Callable[..., None]
) -> None:
    stored()
    client.hset(ShardKeys(prefix, SHARD).call(CALL.sid), SIDS[0], "{")
    one = desk(HONOUR, url_of(client), prefix)
    one.says(preference="pause")
    one.knows("off")
    assert one.awareness.requested(CALL.sid) == "on"
    assert one.put == []


def test_wish_before_the_answer_is_ordered_behind_it(desk: Callable[..., Desk]) -> None:
    one = desk(HONOUR)
    one.says("record-aware", preference="pause")
    one.awareness.invited(RECORDED)
    assert one.awareness.answering(RECORDED) == "paused"
    one.says("record-aware", preference="off")
    assert one.awareness.answering(RECORDED) == "off"
    assert one.awareness.answering(PLAIN) == "off"
    assert one.put == []
    one.awareness.answered(RECORDED)
    assert [(type(e), getattr(e, "stream_sid", "")) for e in one.put] == [
        (StopOrdered, sid) for sid in SIDS
    ]


@pytest.mark.parametrize("preference", ["on", "nopreference", ""])
def test_wish_before_the_answer_that_is_met_orders_nothing(
    desk: Callable[..., Desk], preference: str
) -> None:
    one = desk(HONOUR)
    one.says("record-aware", preference=preference)
    one.awareness.invited(RECORDED)
    assert one.awareness.answering(RECORDED) == "on"
    one.awareness.answered(RECORDED)
    assert one.put == []


def test_wish_is_ordered_of_each_stream_and_the_answer_waits_a_moment_for_it(
    desk: Callable[..., Desk], client: Client, prefix: str, stored: Callable[..., None]
) -> None:
    stored(stream(1), stream(2, BOTH))
    one = desk(HONOUR, url_of(client), prefix)
    one.says("record-aware", preference="pause")
    one.knows("on")
    one.awareness.requested(CALL.sid)
    (entry,) = one.put
    assert isinstance(entry, PauseOrdered)
    assert (entry.stream_sid, entry.is_resumed) == (SIDS[0], False)
    one.says()
    # No controller is there: nothing has changed, and nothing else is said.
    assert one.awareness.replied(CALL.sid) == "on"
    stored(stream(1, BOTH))
    assert one.awareness.replied(CALL.sid) == "paused"


def test_wish_without_redis_is_not_honoured_and_logged(desk: Callable[..., Desk]) -> None:
    one = desk(HONOUR)
    one.says(preference="off")
    one.awareness.requested(CALL.sid)
    assert one.put == []
    assert "is not honoured" in str(one.ksr.named("log")[0])


def test_end_of_the_call_forgets_both_endpoints(desk: Callable[..., Desk]) -> None:
    one = desk(AwarenessSettings())
    one.awareness.over()
    assert one.ksr.named("htable.sht_rm") == [("aware", "a@b from"), ("aware", "a@b to")]


def test_fault_is_logged_and_leaves_the_sdp_as_it_is(desk: Callable[..., Desk]) -> None:
    one = desk(AwarenessSettings())
    one.says()
    one.knows("nonsense")
    assert one.awareness.requested(CALL.sid) is None
    assert "ValueError" in str(one.ksr.named("log")[0])
