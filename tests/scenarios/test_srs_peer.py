"""Recorders that use their dialog: timers, offers, questions, forks. The call loses nothing."""

from collections.abc import Callable

import pytest

from siprec.model import StreamState
from tests.scenarios.phone import Phone, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import Stage
from tests.scenarios.talk import Talk
from tests.scenarios.test_srs_faults import begin

pytestmark = pytest.mark.daemon

UNREACHABLE = 32011
BAD_ANSWER = 32102


def requests(session: Session, kind: str, method: str) -> list[int | None]:
    """Give the final statuses of the requests that the SRS `sent` or `received`."""
    listed = session.summary[f"{kind}_requests"]
    return [each["status"] for each in listed if each["method"] == method]


def records_on(
    stage: Stage,
    switches: tuple[str, ...],
    is_done: Callable[[Session], bool],
    options: tuple[str, ...] = (),
) -> tuple[Session, list[str]]:
    """Talk until the SRS has done what it is there for; give its session and our alerts."""
    srs = stage.recorder_alone("--events", *switches)
    start = stage.connect(srs.uri, options=("--options-s", "0", *options))
    caller, callee = begin(stage, start)
    with Talk(caller, callee) as talking:
        stream = stage.wait_recording(caller)
        poll(lambda: has_done(srs, is_done), why=lambda: f"{srs.sessions()}\n{srs.log}")
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    stage.wait_stream(caller, StreamState.STOPPED)
    session = stage.wait_session(stream, srs)
    assert session.metadata_errors == []
    return session, [alert.text for alert in stage.alerts(caller)]


def has_done(srs: ReferenceSrs, is_done: Callable[[Session], bool]) -> bool:
    return any(is_done(session) for session in srs.sessions())


def is_sound(session: Session, lost: int = 0) -> bool:
    """Hold a session to what a recorder wants, each packet of both parties."""
    assert session.problems == []
    assert session.ended_by == "src-bye"
    return all(track.lost == lost and track.packets >= 15 for track in session.tracks)


# Session timers (RFC 4028)


@pytest.mark.parametrize("carrier", ["re-invite", "update"])
def test_session_is_refreshed_by_us(stage: Stage, carrier: str) -> None:
    method = "INVITE" if carrier == "re-invite" else "UPDATE"
    session, alerts = records_on(
        stage,
        ("--session-expires", "2:uac"),
        lambda session: requests(session, "received", method).count(200) >= 2,
        ("--metadata-by", carrier),
    )
    assert is_sound(session)
    assert alerts == []


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_session_is_refreshed_by_the_srs(stage: Stage, method: str) -> None:
    session, alerts = records_on(
        stage,
        ("--session-expires", "2:uas", "--refresh-by", method.lower()),
        lambda session: requests(session, "sent", method) == [422, 200],
    )
    # Nobody may ask for less (RFC 4028 §4), whatever a 2xx said before.
    timer = session.summary["session_timer"]
    assert (timer["interval_s"], timer["refresher"]) == (90, "srs")
    assert is_sound(session)
    assert alerts == []


def test_interval_that_is_too_small_for_the_srs_is_raised(stage: Stage) -> None:
    session, alerts = records_on(
        stage,
        ("--min-se", "3600"),
        lambda session: session.state == "recording",
        ("--session-expires-s", "90"),
    )
    assert session.summary["session_timer"]["interval_s"] == 3600
    assert is_sound(session)
    assert alerts == []


@pytest.mark.parametrize(
    ("switches", "why"),
    [
        (("--never-refresh", "--session-expires", "2:uas"), "let the session expire"),
        (("--refuse-reinvite", "500", "--session-expires", "2:uac"), "let the session expire"),
        (("--silent-reinvite", "--session-expires", "9:uac"), "did not answer the refresh"),
    ],
    ids=["nobody refreshes", "refused", "not answered"],
)
def test_session_that_is_not_refreshed_goes_on_at_another_srs(
    stage: Stage, switches: tuple[str, ...], why: str
) -> None:
    good = stage.recorder_alone()
    bad = stage.recorder_alone(*switches)
    start = stage.connect(
        f"{bad.uri},priority=1",
        f"{good.uri},priority=2",
        options=("--options-s", "0", "--answer-s", "1"),
    )
    caller, callee = begin(stage, start)
    with Talk(caller, callee) as talking:
        stream = stage.wait_recording(caller)
        poll(lambda: good.sessions() and good.sessions()[0].state == "recording")
        stage.wait_recording(caller)
        talking.go_on()
    assert talking.lost == ([], [])
    hang_up(caller, callee)
    session = stage.wait_session(stream, good)
    assert is_sound(session)
    (first, *_) = bad.wait_over()
    assert first.ended_by in ("src-bye", "timeout")
    later, first_alert = stage.alerts(caller)
    assert why in first_alert.text
    assert "goes on with the recording after a gap" in later.text


def test_session_without_timers_asks_for_none(stage: Stage) -> None:
    session, alerts = records_on(
        stage, (), lambda session: session.state == "recording", ("--session-expires-s", "0")
    )
    assert is_sound(session)
    assert alerts == []
    assert session.summary["session_timer"] is None


# What it asks and offers


def test_snapshot_request_is_answered_by_a_full_snapshot_at_once(stage: Stage) -> None:
    session, alerts = records_on(
        stage,
        ("--snapshot-request-after", "0.2"),
        lambda session: requests(session, "received", "INVITE").count(200) >= 1,
    )
    assert requests(session, "sent", "UPDATE") == [200]
    assert is_sound(session)
    assert alerts == []
    kinds = [each["datamode"] for each in session.summary["metadata"]]
    assert kinds == ["complete", "complete", "partial"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize(
    ("offers", "directions"),
    [
        ("sendrecv,same", ["recvonly"]),
        ("extra,same", ["recvonly"]),
        ("inactive,recvonly", ["recvonly", "inactive", "recvonly"]),
    ],
)
def test_offer_of_the_srs_is_answered_and_recording_goes_on(
    stage: Stage, method: str, offers: str, directions: list[str]
) -> None:
    prefix = "--reinvite" if method == "INVITE" else "--update"
    session, alerts = records_on(
        stage,
        (f"{prefix}-after", "0.3", f"{prefix}-offers", offers),
        lambda session: requests(session, "sent", method) == [200, 200],
    )
    assert session.problems == []
    assert alerts == []
    for track in session.tracks:
        assert [each for _, each in track.summary["directions"]] == directions
        assert track.summary["packets_while_inactive"] == 0
        assert track.packets >= 15


def test_stream_that_the_srs_ends_later_is_dropped_and_the_other_goes_on(stage: Stage) -> None:
    session, alerts = records_on(
        stage,
        ("--reinvite-after", "0.3", "--reinvite-offers", "port0:0,same"),
        lambda session: requests(session, "sent", "INVITE") == [200, 200],
    )
    assert session.problems == []
    assert [each for _, each in session.track("1").summary["directions"]][-1] == "removed"
    assert session.track("2").lost == 0
    assert len(alerts) == 1
    assert "label 1" in alerts[0]


def test_reinvite_without_sdp_gets_our_offer_and_its_ack_the_answer(stage: Stage) -> None:
    session, alerts = records_on(
        stage,
        ("--reinvite-after", "0.3", "--reinvite-without-sdp", "--moved-port"),
        lambda session: requests(session, "sent", "INVITE") == [200],
    )
    assert is_sound(session)
    assert all(track.summary["packets_at_old_port"] == 0 for track in session.tracks)
    assert alerts == []


@pytest.mark.parametrize(
    ("switch", "method"), [("--info-after", "INFO"), ("--update-after", "UPDATE")]
)
def test_request_of_the_srs_without_an_offer_is_answered_200(
    stage: Stage, switch: str, method: str
) -> None:
    session, alerts = records_on(
        stage, (switch, "0.2"), lambda session: requests(session, "sent", method) == [200]
    )
    assert is_sound(session)
    assert alerts == []


def test_reinvite_that_the_srs_cancels_too_late_is_answered(stage: Stage) -> None:
    session, alerts = records_on(
        stage,
        ("--reinvite-after", "0.2", "--cancel-reinvite"),
        lambda session: requests(session, "sent", "INVITE") == [200],
    )
    assert is_sound(session)
    assert alerts == []


# Dialogs


def test_second_200_of_a_forked_invite_gets_ack_and_bye_of_its_own(stage: Stage) -> None:
    session, alerts = records_on(
        stage,
        ("--forked-200",),
        lambda session: bool((session.summary["forked"] or {}).get("ended")),
    )
    assert session.summary["forked"]["acknowledged"]
    assert is_sound(session)
    assert alerts == []


def test_requests_follow_a_contact_that_moves(stage: Stage) -> None:
    session, alerts = records_on(
        stage,
        ("--session-expires", "2:uac", "--moved-contact"),
        lambda session: requests(session, "received", "INVITE").count(200) >= 2,
    )
    assert is_sound(session)
    assert alerts == []


# The call changes


def hold(who: Phone, other: Phone, offer: str, reply: str) -> None:
    """Renegotiate the directions of a call."""
    who.request("INVITE", sdp=who.sdp(direction=offer))
    other.reply(other.expect("INVITE"), 200, "OK", sdp=other.sdp(direction=reply))
    who.ack(who.expect(200))
    other.expect("ACK")


def told(session: Session) -> list[tuple[str, str]]:
    """Give by what each document of the metadata came, and how much it told."""
    return [(each["source"], each["datamode"]) for each in session.summary["metadata"]]


@pytest.mark.parametrize("status", ["400", "405", "415", "488", "501"])
def test_update_that_the_srs_does_not_take_becomes_a_reinvite(stage: Stage, status: str) -> None:
    srs = stage.recorder_alone("--refuse-update", status)
    options = ("--options-s", "0", "--metadata-by", "update")
    caller, callee = begin(stage, stage.connect(srs.uri, options=options))
    with Talk(caller, callee) as talking:
        stream = stage.wait_recording(caller)
        hold(caller, callee, "sendonly", "recvonly")
        poll(lambda: has_done(srs, lambda s: requests(s, "received", "INVITE") == [200]))
        talking.go_on()
    hang_up(caller, callee)
    session = stage.wait_session(stream, srs)
    assert requests(session, "received", "UPDATE") == [int(status)]
    assert told(session)[-2:] == [("INVITE", "partial"), ("BYE", "partial")]
    assert is_sound(session)
    assert stage.alerts(caller) == []


def test_changes_that_follow_each_other_fast_are_told_together_by_update(stage: Stage) -> None:
    srs = stage.recorder_alone()
    options = ("--options-s", "0", "--metadata-by", "update")
    caller, callee = begin(stage, stage.connect(srs.uri, options=options))
    with Talk(caller, callee) as talking:
        stream = stage.wait_recording(caller)
        for who, other in ((caller, callee), (callee, caller)) * 3:
            hold(who, other, "sendonly", "recvonly")
        hold(caller, callee, "inactive", "inactive")
        poll(lambda: has_done(srs, lambda s: senders(s) == 0))
        talking.go_on()
    hang_up(caller, callee)
    session = stage.wait_session(stream, srs)
    updates = requests(session, "received", "UPDATE")
    assert 1 <= len(updates) <= 3
    assert set(updates) == {200}
    assert is_sound(session)
    assert stage.alerts(caller) == []


def senders(session: Session) -> int:
    """Count who sends, as the SRS knows it now."""
    parties = session.summary["metadata_history"][-1]["participants"].values()
    return sum(len(each["send"]) for each in parties)


def test_party_on_hold_is_inactive_where_the_connector_wishes_so(stage: Stage) -> None:
    srs = stage.recorder_alone()
    options = ("--options-s", "0", "--hold", "inactive")
    caller, callee = begin(stage, stage.connect(srs.uri, options=options))
    with Talk(caller, callee) as talking:
        stream = stage.wait_recording(caller)
        talking.go_on()
        for offer, reply, count in (("sendonly", "recvonly", 1), ("sendrecv", "sendrecv", 2)):
            hold(caller, callee, offer, reply)
            poll(lambda count=count: has_done(srs, lambda s: senders(s) == count))  # type: ignore[misc]
            talking.go_on(25)
    hang_up(caller, callee)
    session = stage.wait_session(stream, srs)
    assert [each for _, each in session.track("1").summary["directions"]] == ["recvonly"]
    directions = [each for _, each in session.track("2").summary["directions"]]
    assert directions == ["recvonly", "inactive", "recvonly"]
    assert session.track("2").summary["packets_while_inactive"] == 0
    assert session.track("1").lost == 0
    assert session.problems == []
    assert stage.alerts(caller) == []
