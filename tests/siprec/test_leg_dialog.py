"""Pause and resume: the gate first, then the SRS; and it opens only when the SRS has agreed."""

from dataclasses import replace

import pytest

from siprec import events as e
from siprec.alerts import AlertLevel
from siprec.leg_dialog import ASK_GRACE_MS
from siprec.leg_end import FLOW_FAILED, FLOW_TRIES, UNREACHABLE
from siprec.model import StreamState
from tests.siprec.failovers import FAILOVER, A, B, srs_of
from tests.siprec.pauses import (
    ALL,
    GATE_SET,
    PAUSE,
    PAUSE_CALLEE,
    PAUSE_CALLER,
    RESUME,
    RESUME_CALLER,
    agree,
    asked,
    directions,
    gate,
    leg_of,
    paused,
    refuse,
    version,
)
from tests.siprec.streams import (
    FORK_OFFERED,
    LATER_MS,
    PLAN,
    SRS_URI,
    alerts,
    answer_sdp,
    answered,
    follow,
    kinds,
    on_leg,
    stream_in,
)

S = StreamState
AUTHENTICATED = replace(PLAN, has_digest=True)
ASK_MS = PLAN.answer_ms + ASK_GRACE_MS


# The order of things


def test_pause_closes_the_gate_before_the_srs_is_told() -> None:
    outcome = follow(stream_in(S.RECORDING), [PAUSE], LATER_MS)
    assert kinds(outcome) == ["AnswerFork"]
    assert gate(outcome.stream) == (ALL, True)
    assert outcome.stream.state is S.RECORDING
    outcome = follow(outcome.stream, [GATE_SET], LATER_MS)
    assert kinds(outcome) == ["SendAsked"]
    leg = leg_of(outcome.stream)
    assert (leg.cseq, leg.deadline_ms) == (2, LATER_MS + ASK_MS)
    assert directions(leg) == ["inactive", "inactive"]
    assert outcome.stream.state is S.PAUSED


def test_pause_that_the_srs_agrees_to_needs_nothing_further() -> None:
    stream = asked().stream
    outcome = follow(stream, [agree(stream)], LATER_MS)
    # What the SRS answered is what rtpengine goes by.
    assert kinds(outcome) == ["AnswerFork"]
    outcome = follow(outcome.stream, [GATE_SET], LATER_MS)
    assert (kinds(outcome), outcome.stream.state) == ([], S.PAUSED)
    leg = leg_of(outcome.stream)
    assert (leg.muted, leg.asked, leg.refused, leg.deadline_ms) == (ALL, None, None, None)
    assert leg.heard_ms == LATER_MS


def test_resume_opens_the_gate_only_when_the_srs_has_agreed() -> None:
    outcome = follow(paused(), [RESUME], LATER_MS)
    assert kinds(outcome) == ["SendAsked"]
    assert gate(outcome.stream) == (ALL, False)
    assert directions(leg_of(outcome.stream)) == ["sendonly", "sendonly"]
    outcome = follow(outcome.stream, [agree(outcome.stream)], LATER_MS)
    assert kinds(outcome) == ["AnswerFork"]
    assert gate(outcome.stream) == ((), True)
    assert outcome.stream.state is S.RECORDING
    assert kinds(follow(outcome.stream, [GATE_SET], LATER_MS)) == []


def test_second_pause_of_the_same_changes_nothing() -> None:
    stream = paused()
    again = follow(stream, [PAUSE, PAUSE_CALLER], LATER_MS + 1)
    assert (again.stream, again.commands) == (stream, ())
    resumed = follow(stream_in(S.RECORDING), [RESUME], LATER_MS)
    assert (resumed.stream, resumed.commands) == (stream_in(S.RECORDING), ())


def test_pause_of_one_party_leaves_the_other_alone() -> None:
    stream = asked([PAUSE_CALLER, GATE_SET]).stream
    assert gate(stream) == (("1",), False)
    assert directions(leg_of(stream)) == ["inactive", "sendonly"]
    assert stream.state is S.RECORDING
    stream = follow(stream, [agree(stream), GATE_SET], LATER_MS).stream
    assert leg_of(stream).muted == ("1",)
    stream = follow(stream, [PAUSE_CALLEE, GATE_SET], LATER_MS).stream
    assert stream.state is S.PAUSED
    stream = follow(stream, [agree(stream), GATE_SET, RESUME_CALLER], LATER_MS).stream
    assert directions(leg_of(stream)) == ["sendonly", "inactive"]
    stream = follow(stream, [agree(stream), GATE_SET], LATER_MS).stream
    assert gate(stream) == (("2",), False)


def test_version_of_the_offer_rises_by_one_exactly_when_the_sdp_changes() -> None:
    stream = stream_in(S.RECORDING)
    seen = [version(leg_of(stream))]
    for event in (PAUSE, RESUME, PAUSE_CALLER):
        stream = follow(stream, [event, GATE_SET], LATER_MS).stream
        seen.append(version(leg_of(stream)))
        glare = follow(stream, [refuse(stream, 491)], LATER_MS).stream
        again = follow(glare, [e.DeadlinePassed()], LATER_MS + 4_000)
        assert (kinds(again), version(leg_of(again.stream))) == (["SendAsked"], seen[-1])
        stream = follow(stream, [agree(stream), GATE_SET], LATER_MS).stream
    assert seen == [1, 2, 3, 4]


# Wishes that change while something is on its way


def test_wishes_while_a_reinvite_is_open_are_told_together_when_it_is_over() -> None:
    stream = asked([PAUSE_CALLER, GATE_SET]).stream
    for event in (PAUSE_CALLEE, RESUME, PAUSE_CALLEE):
        outcome = follow(stream, [event], LATER_MS)
        assert "SendAsked" not in kinds(outcome)
        stream = follow(outcome.stream, [GATE_SET], LATER_MS).stream
    outcome = follow(stream, [agree(stream)], LATER_MS)
    assert kinds(outcome) == ["AnswerFork", "SendAsked"]
    assert directions(leg_of(outcome.stream)) == ["sendonly", "inactive"]


def test_resume_while_the_srs_is_told_of_the_pause_leaves_the_gate_closed() -> None:
    stream = follow(asked().stream, [RESUME], LATER_MS).stream
    assert gate(stream) == (ALL, False)
    outcome = follow(stream, [agree(stream)], LATER_MS)
    assert kinds(outcome) == ["AnswerFork", "SendAsked"]
    assert gate(outcome.stream) == (ALL, False)
    outcome = follow(outcome.stream, [agree(outcome.stream)], LATER_MS)
    assert gate(outcome.stream) == ((), True)


def test_resume_before_the_srs_was_told_opens_the_gate_at_once() -> None:
    outcome = follow(stream_in(S.RECORDING), [PAUSE, RESUME], LATER_MS)
    assert (kinds(outcome), gate(outcome.stream)) == (["AnswerFork"], ((), True))
    assert kinds(follow(outcome.stream, [GATE_SET], LATER_MS)) == []


def test_refusal_of_what_nobody_wishes_any_more_is_no_alert() -> None:
    stream = follow(asked().stream, [RESUME], LATER_MS).stream
    outcome = follow(stream, [refuse(stream, 488)], LATER_MS)
    assert kinds(outcome) == ["AnswerFork"]
    assert gate(outcome.stream) == ((), True)


def test_stale_replies_and_repeated_ones_change_nothing() -> None:
    stream = asked().stream
    stale = (
        *on_leg(1, answered(to_tag=leg_of(stream).to_tag)),
        *on_leg(1, e.SrsRefused(attempt=1, status=488, reason="No", challenge=e.Challenge(cseq=1))),
        *on_leg(1, e.SrsRefused(attempt=2, status=488, reason="No", challenge=e.Challenge(cseq=2))),
    )
    assert follow(stream, stale, LATER_MS) == (stream, ())
    again = agree(stream)
    done = follow(stream, [again, GATE_SET], LATER_MS).stream
    assert follow(done, [again], LATER_MS) == (done, ())


def test_answer_of_another_dialog_to_a_reinvite_is_hung_up() -> None:
    (other,) = on_leg(1, answered(to_tag="another"))
    assert kinds(follow(asked().stream, [other], LATER_MS)) == ["DropLateAnswer"]


def test_answer_moves_the_target_of_the_dialog_only_if_it_says_so() -> None:
    stream = asked().stream
    before = leg_of(stream).remote_target
    for target, after in (("", before), ("sip:other", "sip:other")):
        event = agree(stream, remote_target=target)
        assert leg_of(follow(stream, [event], LATER_MS).stream).remote_target == after


# What the SRS may say


def test_pause_that_the_srs_refuses_stays_and_an_alert_says_so() -> None:
    stream = asked().stream
    outcome = follow(stream, [refuse(stream, 488)], LATER_MS)
    (alert,) = alerts(outcome)
    assert (alert.code, alert.level) == (UNREACHABLE, AlertLevel.WARNING)
    assert alert.text == (
        f"the SRS {SRS_URI} does not agree to the pause (answered 488 No): "
        "what was paused stays cut off"
    )
    assert (outcome.stream.state, gate(outcome.stream)) == (S.PAUSED, (ALL, False))
    assert leg_of(outcome.stream).deadline_ms is None
    # It was never told to be silent: nobody has to agree to go on.
    outcome = follow(outcome.stream, [RESUME], LATER_MS)
    assert (kinds(outcome), gate(outcome.stream)) == (["AnswerFork"], ((), True))


def test_pause_that_the_srs_refused_is_told_again_when_it_is_ordered_again() -> None:
    stream = asked().stream
    stream = follow(stream, [refuse(stream, 503)], LATER_MS).stream
    outcome = follow(stream, [PAUSE], LATER_MS)
    assert (kinds(outcome), version(leg_of(outcome.stream))) == (["SendAsked"], 2)


def test_resume_that_the_srs_refuses_leaves_the_gate_closed_and_an_alert_says_so() -> None:
    stream = follow(paused(), [RESUME], LATER_MS).stream
    outcome = follow(stream, [refuse(stream, 500)], LATER_MS)
    (alert,) = alerts(outcome)
    assert "does not agree to the end of the pause (answered 500 No)" in alert.text
    assert (kinds(outcome), outcome.stream.state) == (["RaiseAlert"], S.PAUSED)
    assert gate(outcome.stream) == (ALL, False)
    # Pausing again is what the SRS has; resuming again asks again.
    outcome = follow(outcome.stream, [PAUSE], LATER_MS)
    assert kinds(outcome) == []
    assert kinds(follow(outcome.stream, [RESUME], LATER_MS)) == ["SendAsked"]


@pytest.mark.parametrize("is_timeout", [True, False])
def test_pause_without_an_answer_is_in_doubt_and_opens_only_when_agreed(is_timeout: bool) -> None:
    stream = asked().stream
    outcome = follow(stream, [refuse(stream, 408, is_timeout=is_timeout)], LATER_MS)
    assert kinds(outcome) == ["RaiseAlert"]
    assert ("(no answer)" in alerts(outcome)[0].text) == is_timeout
    leg = leg_of(outcome.stream)
    assert (leg.muted, leg.is_doubtful, outcome.stream.state) == (ALL, True, S.PAUSED)
    assert kinds(follow(outcome.stream, [PAUSE], LATER_MS)) == ["SendAsked"]
    outcome = follow(outcome.stream, [RESUME], LATER_MS)
    assert (kinds(outcome), gate(outcome.stream)) == (["SendAsked"], (ALL, False))
    stream = follow(outcome.stream, [agree(outcome.stream), GATE_SET], LATER_MS).stream
    assert (gate(stream), leg_of(stream).is_doubtful) == (((), False), False)


def test_resume_without_an_answer_leaves_the_gate_closed_and_a_pause_is_told_again() -> None:
    stream = follow(paused(), [RESUME], LATER_MS).stream
    outcome = follow(stream, [refuse(stream, 408, is_timeout=True)], LATER_MS)
    assert "the end of the pause (no answer)" in alerts(outcome)[0].text
    assert (gate(outcome.stream), outcome.stream.state) == ((ALL, False), S.PAUSED)
    outcome = follow(outcome.stream, [PAUSE], LATER_MS)
    assert kinds(outcome) == ["SendAsked"]
    assert directions(leg_of(outcome.stream)) == ["inactive", "inactive"]


def test_glare_waits_as_long_as_the_rfc_says_and_asks_again() -> None:
    stream = asked().stream
    outcome = follow(stream, [refuse(stream, 491)], LATER_MS)
    assert kinds(outcome) == []
    wait_ms = (outcome.stream.deadline_ms or 0) - LATER_MS
    assert 2_100 <= wait_ms <= 4_000
    assert wait_ms % 10 == 0
    early = follow(outcome.stream, [PAUSE], LATER_MS)
    assert kinds(early) == []
    again = follow(outcome.stream, [e.DeadlinePassed()], LATER_MS + wait_ms)
    assert (kinds(again), leg_of(again.stream).cseq) == (["SendAsked"], 3)


def test_glare_waits_differ_from_request_to_request() -> None:
    waits = set()
    stream = asked().stream
    for _ in range(10):
        stream = follow(stream, [refuse(stream, 491)], LATER_MS).stream
        waits.add(stream.deadline_ms)
        stream = follow(stream, [e.DeadlinePassed()], stream.deadline_ms or 0).stream
    assert len(waits) > 5


def test_resume_while_a_glare_is_waited_for_opens_what_the_srs_never_agreed_to_close() -> None:
    stream = asked().stream
    stream = follow(stream, [refuse(stream, 491), RESUME, GATE_SET], LATER_MS).stream
    assert gate(stream) == ((), False)
    assert kinds(follow(stream, [e.DeadlinePassed()], LATER_MS + 4_000)) == []


def test_srs_that_does_not_know_the_session_fails_over_and_the_next_starts_paused() -> None:
    stream = asked(plan=FAILOVER).stream
    outcome = follow(stream, [refuse(stream, 481)], LATER_MS)
    assert kinds(outcome) == ["ReleaseFork", "RaiseAlert", "RequestFork"]
    assert srs_of(outcome.stream) == [(A, S.STOPPING), (B, S.FORKING)]
    assert leg_of(outcome.stream).bye_done
    # It may have forgotten the session right after it last answered.
    assert outcome.stream.lost_ms == leg_of(stream_in(S.RECORDING)).heard_ms
    assert outcome.stream.paused == PAUSE.sides
    stream = follow(outcome.stream, on_leg(2, FORK_OFFERED, answered(leg=2)), LATER_MS).stream
    assert gate(stream, 2) == (ALL, True)
    outcome = follow(stream, on_leg(2, GATE_SET), LATER_MS)
    # Its INVITE has told it.
    assert leg_of(outcome.stream, 2).muted == ALL
    assert "SendAsked" not in kinds(outcome)
    assert outcome.stream.state is S.PAUSED


def test_reinvite_is_authenticated_and_each_has_all_its_tries() -> None:
    stream = stream_in(S.RECORDING, AUTHENTICATED)
    for event in (PAUSE, RESUME, PAUSE, RESUME, PAUSE):
        stream = follow(stream, [event, GATE_SET], LATER_MS).stream
        outcome = follow(stream, [refuse(stream, 401)], LATER_MS)
        assert kinds(outcome) == ["SendAsked"]
        leg = leg_of(outcome.stream)
        assert leg.asked is not None
        assert leg.asked.cseq == leg.cseq == leg.challenged_cseq + 1
        assert version(leg) == version(leg_of(stream))
        stream = follow(outcome.stream, [agree(outcome.stream), GATE_SET], LATER_MS).stream


def test_challenge_that_cannot_be_met_is_a_refusal() -> None:
    stream = asked().stream
    outcome = follow(stream, [refuse(stream, 401)], LATER_MS)
    assert "answered 401 No" in alerts(outcome)[0].text


def test_flow_that_failed_is_tried_anew_a_few_times() -> None:
    stream = asked().stream
    for _ in range(FLOW_TRIES):
        outcome = follow(stream, [refuse(stream, FLOW_FAILED)], LATER_MS)
        assert kinds(outcome) == ["SendAsked"]
        stream = outcome.stream
    assert kinds(follow(stream, [refuse(stream, FLOW_FAILED)], LATER_MS)) == ["RaiseAlert"]


def test_answer_that_cannot_be_used_ends_the_leg() -> None:
    stream = asked().stream
    outcome = follow(stream, [agree(stream, sdp="garbage")], LATER_MS)
    assert kinds(outcome) == ["ReleaseFork", "SendBye", "RaiseAlert", "RequestFork"]
    assert [leg.state for leg in outcome.stream.legs] == [S.STOPPING, S.FORKING]


@pytest.mark.parametrize("event", [PAUSE, RESUME])
def test_answer_without_sdp_is_no_agreement(event: e.Paused | e.Resumed) -> None:
    before = stream_in(S.RECORDING) if event is PAUSE else paused()
    stream = follow(before, [event, GATE_SET], LATER_MS).stream
    outcome = follow(stream, [agree(stream, sdp=None)], LATER_MS)
    assert "(answered without SDP)" in alerts(outcome)[0].text
    assert (gate(outcome.stream), outcome.stream.state) == ((ALL, False), S.PAUSED)


def test_leg_without_an_offer_has_nothing_to_cut_off_or_to_agree_on() -> None:
    stream = asked().stream
    ok = agree(stream)
    bare = replace(stream, legs=(replace(leg_of(stream), offer=None, gated=()),))
    stream = follow(bare, [ok], LATER_MS).stream
    assert gate(stream) == ((), False)
    assert leg_of(stream).is_doubtful
    assert kinds(follow(stream, [PAUSE], LATER_MS)) == ["SendAsked"]


def test_srs_that_agrees_to_go_on_but_takes_nothing_gets_nothing() -> None:
    stream = follow(paused(), [RESUME], LATER_MS).stream
    held = answer_sdp(4000, 4002, directions=("inactive", "inactive"))
    stream = follow(stream, [agree(stream, sdp=held), GATE_SET], LATER_MS).stream
    leg = leg_of(stream)
    assert (leg.gated, leg.muted) == ((), ())
    assert "a=recvonly" not in leg.answer
    assert leg.answer.count("c=IN IP4 0.0.0.0") == 2


def test_srs_that_answers_from_other_ports_gets_the_media_there() -> None:
    stream = follow(paused(), [RESUME], LATER_MS).stream
    stream = follow(stream, [agree(stream, sdp=answer_sdp(4100, 4102))], LATER_MS).stream
    assert "m=audio 4100 " in leg_of(stream).answer
