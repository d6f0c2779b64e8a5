"""Whether a stream may start, and what it keeps of its connector."""

from dataclasses import replace

import pytest

from siprec.changes import CallFile
from siprec.connector import OnSecureCall, Srs
from siprec.model import Leg, Plan, StreamOrder, StreamState, Track
from siprec.plans import (
    DUPLICATE_NAME,
    NOT_SECURE,
    TOO_MANY_TRACKS,
    UNKNOWN_CONNECTOR,
    Choice,
    plain_srs,
    plan_of,
    refusal_of,
    secured,
)
from siprec.tls_profile import tls_profile
from tests.siprec.recorders import CONNECTOR, SHARD, make_call
from tests.siprec.streams import begun, stream_in

PLAIN, SAFE = "sip:a.example", "sip:b.example;secure=true"
BOTH = replace(CONNECTOR, srs=(Srs(uri=PLAIN), Srs(uri=SAFE)))
CHOICE = Choice(BOTH, (PLAIN, SAFE))
SECURE_CALL = replace(make_call(), is_srtp=True)


def file_with(*orders: StreamOrder, state: StreamState = StreamState.FORKING) -> CallFile:
    """Give a call with streams of those orders, all in one state."""
    streams = (
        replace(stream_in(state), order=order, sid=f"{number}")
        for number, order in enumerate(orders)
    )
    return CallFile(SHARD, make_call(), {stream.sid: stream for stream in streams})


def test_plan_keeps_the_srss_in_their_order_and_the_tls_profile() -> None:
    plan = plan_of(CHOICE, make_call())
    assert (plan.srs, plan.tls_profile) == ((PLAIN, SAFE), tls_profile(BOTH).name)


def test_plan_ends_no_call_that_another_proxy_carries() -> None:
    choice = CHOICE._replace(connector=replace(BOTH, required=True, end_call_s=3))
    assert plan_of(choice, make_call()).end_call_ms == 3_000
    assert plan_of(choice, replace(make_call(), is_plugged_in=True)).end_call_ms is None


@pytest.mark.parametrize("policy", OnSecureCall)
def test_plan_for_a_secure_call_leaves_plain_srss_out_where_they_are_refused(
    policy: OnSecureCall,
) -> None:
    choice = CHOICE._replace(connector=replace(BOTH, on_secure_call=policy))
    kept = (SAFE,) if policy is OnSecureCall.REFUSE else (PLAIN, SAFE)
    assert plan_of(choice, SECURE_CALL).srs == kept
    assert plan_of(choice, make_call()).srs == (PLAIN, SAFE)
    assert secured(Plan(srs=(PLAIN, SAFE), on_secure_call=policy)).srs == kept


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (StreamOrder(name="main", track=Track.INBOUND), DUPLICATE_NAME),
        (StreamOrder(name="other", track=Track.BOTH), TOO_MANY_TRACKS),
        (StreamOrder(name="other", track=Track.INBOUND), None),
        (StreamOrder(parameters=(("Via", "x"),)), 32113),
    ],
)
def test_refusal_names_what_a_running_stream_has_taken(
    order: StreamOrder, code: int | None
) -> None:
    file = file_with(StreamOrder(name="main"))
    refusal = refusal_of(file, order, CHOICE, 3)
    assert (refusal and refusal.code) == code


def test_stream_that_ended_takes_nothing() -> None:
    file = file_with(StreamOrder(name="main"), state=StreamState.STOPPING)
    assert refusal_of(file, StreamOrder(name="main"), CHOICE, 2) is None


def test_refusal_of_an_unknown_connector_names_it() -> None:
    refusal = refusal_of(file_with(), StreamOrder(connector_name="X"), None, 4)
    assert refusal == (UNKNOWN_CONNECTOR, "connectorName: no connector 'X'")


def test_refusal_of_a_secure_call_is_for_want_of_a_secure_srs_only() -> None:
    strict = replace(BOTH, on_secure_call=OnSecureCall.REFUSE)
    file = CallFile(SHARD, SECURE_CALL)
    refusal = refusal_of(file, StreamOrder(), Choice(strict, (PLAIN,)), 4)
    assert refusal is not None
    assert refusal.code == NOT_SECURE
    assert refusal_of(file, StreamOrder(), Choice(strict, (PLAIN, SAFE)), 4) is None
    # Nobody is there at all: that is another matter, which the stream tells.
    assert refusal_of(file, StreamOrder(), Choice(strict, ()), 4) is None


def test_plain_srss_are_named() -> None:
    legs = begun(plan=Plan(srs=(PLAIN, SAFE), is_parallel=True)).stream.legs
    assert plain_srs(legs) == PLAIN
    assert plain_srs((*legs, Leg(srs="sip:c.example"))) == f"{PLAIN}, sip:c.example"
    assert plain_srs(()) == ""
