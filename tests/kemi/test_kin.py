"""Relatives of calls, in a real Redis: written down by their owners, found by those that follow."""

from dataclasses import replace

import pytest

from siprec import inbox as i
from siprec.changes import Changes
from siprec.model import Call, Kinship, StreamOrder
from siprec.recorder import Recorder
from siprec.settings import LimitSettings
from siprec.store import Client, Store, connect
from siprec_kemi.src.kin import AFTER_END_S, Kin
from tests.kemi.strict_ksr import StrictKsr
from tests.siprec.recorders import SHARD, choose_default, make_call, make_recorder
from tests.siprec.streams import NOW_MS

LIVE_S = 3600


class Family:
    """A recorder of calls, and what its calls are known by."""

    def __init__(self, store: Store) -> None:
        self.recorder: Recorder = make_recorder(LimitSettings())
        self.kin = Kin(store, self.recorder, LIVE_S)

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
def store(client: Client, prefix: str) -> Store:
    return Store(client, prefix)


@pytest.fixture
def family(store: Store, ksr: StrictKsr) -> Family:
    return Family(store)


def follower(old: Call) -> Call:
    tags = tuple(sorted((old.caller.tag, old.callee.tag)))
    kinship = Kinship(replaces=old.sip_call_id, tags=tags)
    return replace(make_call(), sip_call_id="new", kinship=kinship)


def test_call_that_replaces_a_recorded_one_joins_its_group(family: Family, store: Store) -> None:
    old = family.begin(make_call(), StreamOrder())
    assert old.group == ""
    # Whoever owns it: another controller has the same Redis.
    assert Family(store).begin(follower(old)).group == old.sid


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
    assert AFTER_END_S < client.ttl(key) <= LIVE_S
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
    family = Family(Store(connect("unix:///nowhere"), "p:"))
    old = family.begin(make_call(), StreamOrder())
    assert family.begin(follower(old)).group == ""
    texts = [str(text) for _, text in ksr.named("log")]
    assert any("will not be known" in text for text in texts)
    assert any("is taken for no transfer" in text for text in texts)
