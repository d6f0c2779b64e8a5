"""Calls with several SRSs, calls that must be recorded, calls that are encrypted."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec import inbox as i
from siprec import recorder as r
from siprec.alerts import Alert, AlertLevel
from siprec.connector import Connector, Delivery, OnSecureCall, Srs
from siprec.health import key_in
from siprec.leg_end import UNREACHABLE
from siprec.model import Call, Stream, StreamOrder, StreamState
from siprec.plans import NOT_SECURE
from siprec.recorder import Recorder
from siprec.sids import make_stream_sid
from siprec.verdict import NOT_IN_PROGRESS
from tests.siprec.recorders import (
    CONNECTOR,
    SHARD,
    answer,
    bye,
    choose_default,
    happen,
    make_call,
    make_recorder,
    offering,
    record,
    start,
    stop,
    stream_of,
)
from tests.siprec.streams import FORK_OFFERED, LATER_MS, NOW_MS, refused

S = StreamState
A, B = "sip:a.example", "sip:b.example"
SAFE = "sip:safe.example;secure=true"
HUNG_UP = e.SrsHungUp(reason="SIP;cause=503", is_error=True)
REFUSED = (FORK_OFFERED, refused(503))
FAILOVER = replace(CONNECTOR, srs=(Srs(uri=A), Srs(uri=B)))
REQUIRED = replace(FAILOVER, required=True, end_call_s=20)
NOBODY = replace(REQUIRED, srs=(Srs(uri=A, drained=True),))


def alerts(recorder: Recorder) -> list[Alert]:
    return [alert for _, alert in recorder.take_changes().alerts]


def secure_call() -> Call:
    return replace(make_call(), is_srtp=True)


def becomes_secure(recorder: Recorder, call: Call, is_srtp: bool | None = True) -> None:
    entry = i.CallChanged(call_sid=call.sid, at_ms=NOW_MS, is_srtp=is_srtp)
    recorder.apply(SHARD, entry, choose_default, NOW_MS)


def legs_of(stream: Stream) -> list[tuple[str, StreamState]]:
    return [(leg.srs, leg.state) for leg in stream.legs]


# Several SRSs


def test_stream_keeps_of_its_connector_what_it_needs() -> None:
    connector = replace(
        REQUIRED,
        delivery=Delivery.PARALLEL,
        answer_s=5,
        total_s=20,
        options_s=60,
        digest_user="us",
        on_secure_call=OnSecureCall.ALLOW,
    )
    recorder = make_recorder()
    plan = stream_of(recorder, answer(recorder, StreamOrder(), choose=offering(connector))).plan
    assert (plan.srs, plan.is_parallel, plan.has_digest) == ((A, B), True, True)
    assert (plan.answer_ms, plan.total_ms, plan.check_ms) == (5_000, 20_000, 60_000)
    assert (plan.end_call_ms, plan.on_secure_call) == (20_000, OnSecureCall.ALLOW)
    other = stream_of(recorder, answer(recorder, StreamOrder())).plan
    assert (other.is_parallel, other.has_digest, other.end_call_ms) == (False, False, None)


def test_commands_name_the_leg_that_they_are_for() -> None:
    recorder = make_recorder()
    connector = replace(FAILOVER, delivery=Delivery.PARALLEL)
    call = answer(recorder, StreamOrder(), choose=offering(connector))
    sid = make_stream_sid(call.sid, 1)
    orders = [(o.stream_sid, o.leg, o.command) for o in recorder.take_changes().commands]
    assert orders == [(sid, 1, e.RequestFork()), (sid, 2, e.RequestFork())]


def test_sessions_are_counted_by_srs_from_the_first_attempt_to_the_last_reply() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), choose=offering(FAILOVER))
    first, second = key_in(FAILOVER, A), key_in(FAILOVER, B)
    assert dict(recorder.sessions) == {first: 1}
    record(recorder, call)
    happen(recorder, call, HUNG_UP)
    assert dict(recorder.sessions) == {first: 1, second: 1}
    happen(recorder, call, e.ForkReleased())
    assert dict(recorder.sessions) == {second: 1}
    recorder.drop(SHARD)
    assert not recorder.sessions


def test_sessions_of_a_shard_that_is_taken_over_count() -> None:
    before, after = make_recorder(), make_recorder()
    call = answer(before, StreamOrder(), choose=offering(FAILOVER))
    record(before, call)
    after.adopt(SHARD, [(call, [stream_of(before, call)])], NOW_MS)
    assert dict(after.sessions) == {key_in(FAILOVER, A): 1}


def test_stream_without_an_srs_has_failed_and_gives_its_name_back() -> None:
    recorder = make_recorder()
    choose = offering(replace(NOBODY, end_call_s=None))
    call = answer(recorder, StreamOrder(name="main"), choose=choose)
    assert stream_of(recorder, call).state is S.FAILED
    (alert,) = alerts(recorder)
    assert (alert.code, alert.stream_sid) == (UNREACHABLE, make_stream_sid(call.sid, 1))
    assert start(recorder, call, StreamOrder(name="main")).accepted


# Calls that must be recorded


def test_required_call_that_nobody_can_record_is_ended_at_once() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), choose=offering(NOBODY))
    changes = recorder.take_changes()
    ((ended, text),) = changes.to_end
    assert ended.sid == call.sid
    assert text.startswith("the connector Default requires a recording: no SRS")
    assert changes.retired[call.sid].call.end_reason == r.UNRECORDED
    assert [orphan.sid for orphan in changes.orphans] == [call.sid]
    first, second = (alert for _, alert in changes.alerts)
    assert (first.connector_name, second.text) == ("Default", f"the call is ended: {text}")
    assert {first.call_sid, second.call_sid} == {call.sid}
    assert {first.account_sid, second.account_sid} == {call.account_sid}
    assert recorder.live_calls() == []


def test_required_call_that_was_ended_starts_no_further_stream() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), StreamOrder(name="more"), choose=offering(NOBODY))
    changes = recorder.take_changes()
    assert set(changes.retired[call.sid].streams) == {make_stream_sid(call.sid, 1)}
    assert not changes.commands
    assert start(recorder, call, StreamOrder()).code == NOT_IN_PROGRESS


def test_required_call_is_ended_with_all_its_streams_when_one_fails_for_good() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), StreamOrder(), choose=offering(REQUIRED))
    record(recorder, call, 2)
    happen(recorder, call, *REFUSED)
    assert not recorder.take_changes().to_end
    happen(recorder, call, *REFUSED, leg=2)
    changes = recorder.take_changes()
    assert [each.sid for each, _ in changes.to_end] == [call.sid]
    assert [orphan.end_reason for orphan in changes.orphans] == [r.UNRECORDED]
    assert stream_of(recorder, call, 2).state is S.STOPPING


def test_required_call_is_ended_in_time_and_once() -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), choose=offering(REQUIRED))
    record(recorder, call)
    happen(recorder, call, HUNG_UP, e.ForkReleased(), now_ms=LATER_MS)
    happen(recorder, call, FORK_OFFERED, leg=2, now_ms=LATER_MS + 15_000)
    recorder.pass_time(LATER_MS + 19_999)
    assert not recorder.take_changes().to_end
    recorder.pass_time(LATER_MS + 20_000)
    assert len(recorder.take_changes().to_end) == 1
    recorder.pass_time(LATER_MS + 120_000)
    changes = recorder.take_changes()
    assert not changes.to_end
    assert changes.retired[call.sid].call.end_reason == r.UNRECORDED


@pytest.mark.parametrize("how", ["stop", "bye"])
def test_required_call_whose_recording_is_stopped_is_left_alone(how: str) -> None:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), choose=offering(REQUIRED))
    happen(recorder, call, *REFUSED)
    if how == "stop":
        stop(recorder, make_stream_sid(call.sid, 1))
    else:
        bye(recorder, call)
    happen(recorder, call, *REFUSED, leg=2)
    recorder.pass_time(LATER_MS)
    assert not recorder.take_changes().to_end


def test_required_call_that_ended_meanwhile_is_not_ended_again() -> None:
    before, after = make_recorder(), make_recorder()
    call = answer(before, StreamOrder(), choose=offering(REQUIRED))
    ended = replace(call, ended_ms=NOW_MS, end_reason="bye")
    stream = stream_of(before, call)
    # Its last leg has failed, and the save after that was lost.
    late = replace(stream, error_code=UNREACHABLE, error_text="gone", deadline_ms=NOW_MS)
    after.adopt(SHARD, [(ended, [late])], NOW_MS)
    assert not after.take_changes().to_end


# Calls that are encrypted (RFC 7866 §12)


@pytest.mark.parametrize(
    ("policy", "uris", "told"),
    [
        (OnSecureCall.ALLOW, (A,), None),
        (OnSecureCall.ALERT, (A,), A),
        (OnSecureCall.ALERT, (SAFE,), None),
        (OnSecureCall.REFUSE, (SAFE,), None),
    ],
)
def test_start_on_a_secure_call_tells_of_media_in_clear(
    policy: OnSecureCall, uris: tuple[str, ...], told: str | None
) -> None:
    connector = replace(CONNECTOR, srs=tuple(Srs(uri=u) for u in uris), on_secure_call=policy)
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), call=secure_call(), choose=offering(connector))
    assert stream_of(recorder, call).state is S.FORKING
    expected = [] if told is None else [(NOT_SECURE, AlertLevel.WARNING, call.sid)]
    raised = alerts(recorder)
    assert [(a.code, a.level, a.call_sid) for a in raised] == expected
    assert all(a.text == f"the call's media is SRTP, that to {told} is not" for a in raised)


def test_start_on_a_plain_call_tells_nothing() -> None:
    recorder = make_recorder()
    answer(recorder, StreamOrder())
    assert not alerts(recorder)


def test_start_on_a_secure_call_is_refused_when_no_srs_is_secure() -> None:
    connector = replace(FAILOVER, on_secure_call=OnSecureCall.REFUSE)
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), call=secure_call(), choose=offering(connector))
    changes = recorder.take_changes()
    assert not changes.streams
    assert [(a.code, a.level) for _, a in changes.alerts] == [(NOT_SECURE, AlertLevel.ERROR)]
    assert start(recorder, call, StreamOrder(), offering(connector)).code == NOT_SECURE


def test_start_on_a_secure_call_uses_the_secure_srss_only_where_others_are_refused() -> None:
    srs = (Srs(uri=A), Srs(uri=SAFE))
    connector = replace(CONNECTOR, srs=srs, on_secure_call=OnSecureCall.REFUSE)
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), call=secure_call(), choose=offering(connector))
    assert stream_of(recorder, call).plan.srs == (SAFE,)


def test_srs_that_takes_over_a_secure_call_in_clear_is_told_of() -> None:
    connector = replace(CONNECTOR, srs=(Srs(uri=SAFE), Srs(uri=A)))
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), call=secure_call(), choose=offering(connector))
    assert not alerts(recorder)
    happen(recorder, call, *REFUSED)
    assert [a.code for a in alerts(recorder)] == [UNREACHABLE, NOT_SECURE]
    happen(recorder, call, FORK_OFFERED, leg=2)
    assert not alerts(recorder)


def secured_later(connector: Connector) -> tuple[Recorder, Call]:
    recorder = make_recorder()
    call = answer(recorder, StreamOrder(), choose=offering(connector))
    record(recorder, call)
    recorder.take_changes()
    becomes_secure(recorder, call)
    return recorder, call


@pytest.mark.parametrize(
    ("policy", "state", "levels"),
    [
        (OnSecureCall.ALLOW, S.RECORDING, []),
        (OnSecureCall.ALERT, S.RECORDING, [AlertLevel.WARNING]),
        (OnSecureCall.REFUSE, S.STOPPING, [AlertLevel.ERROR]),
    ],
)
def test_call_that_becomes_secure_is_recorded_as_the_policy_says(
    policy: OnSecureCall, state: StreamState, levels: list[AlertLevel]
) -> None:
    recorder, call = secured_later(replace(CONNECTOR, on_secure_call=policy))
    assert stream_of(recorder, call).state is state
    changes = recorder.take_changes()
    assert [(a.code, a.level) for _, a in changes.alerts] == [(NOT_SECURE, x) for x in levels]
    assert all(
        a.text.endswith("the recording ends") for _, a in changes.alerts if state != "recording"
    )
    assert changes.calls[call.sid].call.is_srtp
    becomes_secure(recorder, call)
    assert not alerts(recorder)


def test_call_that_becomes_secure_keeps_its_secure_srs_and_takes_no_plain_one_later() -> None:
    srs = (Srs(uri=SAFE), Srs(uri=A))
    connector = replace(CONNECTOR, srs=srs, on_secure_call=OnSecureCall.REFUSE)
    recorder, call = secured_later(connector)
    assert stream_of(recorder, call).state is S.RECORDING
    assert not alerts(recorder)
    happen(recorder, call, HUNG_UP)
    assert legs_of(stream_of(recorder, call)) == [(SAFE, S.STOPPING), (SAFE, S.FORKING)]


def test_news_without_word_of_security_change_no_call() -> None:
    recorder, call = secured_later(CONNECTOR)
    recorder.take_changes()
    becomes_secure(recorder, call, None)
    assert not recorder.take_changes().calls
    becomes_secure(recorder, call, False)
    changes = recorder.take_changes()
    assert not changes.calls[call.sid].call.is_srtp
    assert not changes.alerts


def test_security_of_an_unknown_call_is_nobodys_business() -> None:
    recorder = make_recorder()
    becomes_secure(recorder, make_call())
    changes = recorder.take_changes()
    assert not changes.alerts
    assert not changes.calls
