"""Relatives of calls, in a real Redis: written down by their owners, found by those that follow."""

from dataclasses import replace

import pytest

from siprec import inbox as i
from siprec.changes import Changes
from siprec.model import Call, Kinship, StreamOrder
from siprec.recorder import Recorder
from siprec.settings import LimitSettings
from siprec.shard_store import ShardStore
from siprec.sids import make_call_sid
from siprec.store import Client, connect
from siprec_kemi.src.kin import AFTER_END_S, Kin
from tests.kemi.strict_ksr import StrictKsr
from tests.siprec.recorders import (
    CONNECTOR,
    SHARD,
    choose_default,
    make_call,
    make_recorder,
    offering,
)
from tests.siprec.streams import NOW_MS

LIMITS = LimitSettings(call_s=3600)

early_choice = offering(replace(CONNECTOR, early_media=True))


class Family:
    """A recorder of calls, and what its calls are known by."""

    def __init__(self, store: ShardStore) -> None:
        self.recorder: Recorder = make_recorder(LimitSettings())
        self.kin = Kin(store, self.recorder, LIMITS)

    def settle(self) -> None:
        """Write down what has changed."""
        self.kin.learn(self.recorder.take_changes())

    def begin(self, call: Call, *orders: StreamOrder) -> Call:
        """Let a call be answered, as a controller does; give it as it is kept."""
        entry = self.kin.joined(i.CallAnswered(call=call, orders=orders))
        self.recorder.apply(SHARD, entry, choose_default, NOW_MS)
        self.settle()
        return entry.call


@pytest.fixture
def store(client: Client, prefix: str) -> ShardStore:
    return ShardStore(client, prefix, "one")


@pytest.fixture
def family(store: ShardStore, ksr: StrictKsr) -> Family:
    return Family(store)


def follower(old: Call) -> Call:
    tags = tuple(sorted((old.caller.tag, old.callee.tag)))
    kinship = Kinship(replaces=old.sip_call_id, tags=tags)
    return replace(make_call(), sip_call_id="new", kinship=kinship)


def test_call_that_replaces_a_recorded_one_joins_its_group_at_another_controller(
    family: Family, client: Client, prefix: str
) -> None:
    old = family.begin(make_call(), StreamOrder())
    assert old.group == ""
    new = replace(follower(old), sid=make_call_sid(7, "e" * 22))
    assert Family(ShardStore(client, prefix, "two")).begin(new).group == old.sid


def test_call_of_another_account_is_a_group_of_its_own(family: Family) -> None:
    old = family.begin(make_call(), StreamOrder())
    assert family.begin(replace(follower(old), account_sid="AC2")).group == ""


def test_call_that_was_recorded_early_stays_in_the_group_that_its_recorder_knows(
    family: Family, client: Client, prefix: str
) -> None:
    old = family.begin(make_call(), StreamOrder())
    new = follower(old)
    ringing = family.kin.joined(i.CallRinging(call=replace(new, answered_ms=None, early_ms=NOW_MS)))
    family.recorder.apply(SHARD, replace(ringing, orders=(StreamOrder(),)), early_choice, NOW_MS)
    client.delete(*client.keys(f"{prefix}relatives:*"))
    assert family.begin(new).group == old.sid


def test_third_call_follows_the_first_over_one_that_is_not_recorded(family: Family) -> None:
    first = family.begin(make_call(), StreamOrder())
    second = family.begin(replace(follower(first), sip_call_id="second"))
    third = family.begin(replace(follower(second), sip_call_id="third"), StreamOrder())
    assert third.group == first.sid


def test_call_with_the_session_id_of_one_that_ended_is_followed_as_long_as_it_lives(
    family: Family, client: Client, prefix: str
) -> None:
    session_id = "a" * 32
    first = family.begin(replace(make_call(), session_id=session_id), StreamOrder())
    second = family.begin(replace(make_call(), session_id=session_id), StreamOrder())
    file = family.recorder.call_file(first.sid)
    assert file is not None
    family.kin.learn(Changes(retired={first.sid: file}))
    (key,) = client.keys(f"{prefix}relatives:session:*")
    assert client.ttl(key) > AFTER_END_S
    assert family.begin(replace(make_call(), session_id=session_id)).group == second.group


def test_call_that_was_not_recorded_is_followed_by_none(family: Family) -> None:
    old = family.begin(make_call())
    assert family.begin(follower(old)).group == ""


def test_call_is_known_from_its_first_stream_on_and_for_a_while_after_its_end(
    family: Family, client: Client, prefix: str
) -> None:
    old = family.begin(make_call())
    order = i.StartOrdered(request_id="r", call_sid=old.sid, order=StreamOrder())
    family.recorder.apply(SHARD, order, choose_default, NOW_MS)
    family.settle()
    (key,) = client.keys(f"{prefix}relatives:*")
    assert AFTER_END_S < client.ttl(key) <= LIMITS.call_s
    file = family.recorder.call_file(old.sid)
    assert file is not None
    family.kin.learn(Changes(retired={old.sid: file}))
    assert 0 < client.ttl(key) <= AFTER_END_S
    assert family.begin(follower(old)).group == old.sid


def test_party_that_is_referred_is_followed(family: Family) -> None:
    old = family.begin(make_call(), StreamOrder())
    referred = i.CallReferred(call_sid=old.sid, target="sip:c@h", referred_by="sip:b@h")
    for each in (
        referred,
        replace(referred, call_sid="CA0", target="sip:d@h"),
        replace(referred, target="junk"),
    ):
        family.kin.referred(each)
    for target, group in (("sip:c@h", old.sid), ("sip:d@h", "")):
        kinship = Kinship(referred_by="sip:b@h", target=target)
        assert family.begin(replace(make_call(), kinship=kinship)).group == group


def test_without_redis_a_call_is_a_group_of_its_own(ksr: StrictKsr) -> None:
    family = Family(ShardStore(connect("unix:///nowhere"), "p:", "one"))
    old = family.begin(make_call(), StreamOrder())
    assert family.begin(follower(old)).group == ""
    texts = [str(text) for _, text in ksr.named("log")]
    assert any("will not be known" in text for text in texts)
    assert any("is taken for no transfer" in text for text in texts)
