"""Cases of sipp-scenarios/ in which the recorder speaks up in the dialog: what is recorded then."""

import re
from datetime import datetime, timedelta

import pytest

from siprec.model import Stream, StreamState
from tests.scenarios.by_hand import (
    BOB,
    TALK_S,
    bad_recorder,
    callee,
    heard,
    place,
    promised,
    readme,
    sound,
    switches,
)
from tests.scenarios.polling import poll
from tests.scenarios.sounds import FRAME_BYTES, gaps, place_in
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.studio import CALLEE_SOUND, CALLER_SOUND, SpokenCall, Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

UNREACHABLE = 32011


class Speaking:
    """A recorded call to a recorder with the switches of a README."""

    def __init__(self, studio: Studio, case: str, number: int = 0) -> None:
        self._studio = studio
        self.srs, connector = bad_recorder(studio, *switches(case, number))
        self.call: SpokenCall = place(studio, "both-tracks", connector=connector)
        self.stream: Stream = self.call.recording("both")

    def session(self) -> Session:
        """Give the session as it is now."""
        session = self.srs.session_of(self.stream.sid)
        assert session is not None
        return session

    def answered(self, *requests: str) -> None:
        """Wait until all requests of the recorder have their 200, and there is sound since."""

        def statuses() -> list[int | None]:
            return [request["status"] for request in self.session().summary["sent_requests"]]

        poll(lambda: statuses() == [200] * len(requests), why=lambda: str(self.session()))
        sent = [request["method"] for request in self.session().summary["sent_requests"]]
        assert sent == list(requests)
        self.talk_on()

    def talk_on(self) -> None:
        """Wait until the recorder has heard more of both parties."""
        so_far = max(track.seconds_so_far for track in self.session().tracks)
        self._studio.hear(self.stream, so_far + 2 * TALK_S, self.srs)

    def is_inactive(self) -> bool:
        """Tell whether nothing is to be sent on any m-line now."""
        return is_inactive(self.session())

    def over(self) -> Session:
        """Hang up; there was one recording, and nothing to complain about on either side."""
        self.call.hang_up()
        assert [(s.sid, s.state) for s in self.call.streams()] == [
            (self.stream.sid, StreamState.STOPPED)
        ]
        assert self.call.alerts() == []
        session = self._studio.over(self.stream, self.srs)
        assert (session.ended_by, session.problems) == ("src-bye", [])
        assert session.metadata_errors == []
        assert session.labels == ["1", "2"]
        for track in session.tracks:
            assert track.packets_after_bye == 0
            assert track.summary["packets_while_inactive"] == 0
            assert track.summary["packets_at_old_port"] == 0
        return session


@pytest.mark.parametrize(
    ("case", "requests"),
    [
        ("srs-re-invites", ["INVITE", "INVITE", "INVITE"]),
        ("srs-begins-inactive", ["INVITE"]),
        ("srs-updates", ["UPDATE"]),
        ("srs-asks", ["INFO", "OPTIONS"]),
        ("srs-moves", ["INVITE"]),
        ("srs-adds-a-line", ["INVITE"]),
        ("srs-wants-a-snapshot", ["UPDATE"]),
    ],
)
def test_request_of_the_srs_is_answered_and_the_voices_go_on(
    studio: Studio, case: str, requests: list[str]
) -> None:
    speaking = Speaking(studio, case)
    speaking.answered(*requests)
    heard(speaking.over())


def test_srs_that_cancels_its_reinvite_is_recorded_to_on(studio: Studio) -> None:
    speaking = Speaking(studio, "srs-cancels")

    def statuses() -> dict[str, int | None]:
        return {r["method"]: r["status"] for r in speaking.session().summary["sent_requests"]}

    poll(lambda: statuses().get("CANCEL") and statuses()["INVITE"], why=lambda: str(statuses()))
    assert statuses() in ({"INVITE": 200, "CANCEL": 200}, {"INVITE": 487, "CANCEL": 200})
    speaking.talk_on()
    heard(speaking.over())


def test_srs_that_asks_for_a_snapshot_gets_all_of_it(studio: Studio) -> None:
    speaking = Speaking(studio, "srs-wants-a-snapshot")
    poll(lambda: len(speaking.session().summary["metadata"]) == 2)
    sent = [(m["source"], m["datamode"]) for m in speaking.over().summary["metadata"]]
    assert sent[:2] == [("INVITE", "complete"), ("INVITE", "complete")]


def test_second_of_two_recorders_that_answer_gets_ack_and_bye(studio: Studio) -> None:
    speaking = Speaking(studio, "srs-forks")
    speaking.talk_on()
    session = speaking.over()
    forked = session.summary["forked"]
    assert (forked["acknowledged"], forked["ended"]) == (True, True)
    heard(session)


def test_session_is_refreshed_for_an_srs_that_wants_it(studio: Studio) -> None:
    speaking = Speaking(studio, "srs-session-timer")
    poll(lambda: speaking.session().summary["session_timer"]["refreshes"] >= 2)
    speaking.talk_on()
    session = speaking.over()
    assert session.summary["session_timer"]["refresher"] == "src"
    heard(session)


@pytest.mark.parametrize(("number", "method"), [(0, "INVITE"), (1, "UPDATE")])
def test_srs_that_holds_gets_nothing_meanwhile(studio: Studio, number: int, method: str) -> None:
    speaking = Speaking(studio, "srs-holds", number)
    speaking.answered(method, method)
    one_gap(speaking.over())


@pytest.mark.parametrize("number", [0, 1], ids=["491", "cross"])
def test_offers_that_cross_are_told_again_later(studio: Studio, number: int) -> None:
    speaking = Speaking(studio, "srs-glare", number)
    studio.hear(speaking.stream, TALK_S, speaking.srs)
    studio.stack.cli("stream", "pause", speaking.stream.sid, "--wait")
    poll(speaking.is_inactive, why=lambda: str(speaking.session()))
    studio.stack.cli("stream", "resume", speaking.stream.sid, "--wait")
    so_far = max(track.seconds_so_far for track in speaking.session().tracks)
    studio.hear(speaking.stream, so_far + TALK_S, speaking.srs)
    session = speaking.over()
    asked = [(r["method"], r["status"]) for r in session.summary["received_requests"]]
    assert asked == [("INVITE", 491), ("INVITE", 200), ("INVITE", 200), ("BYE", 200)]
    # Where the SRS offers as well, it is put off as long as ours is open.
    offered = [sent["status"] for sent in session.summary["sent_requests"]]
    assert offered in ([[]], [[200], [491, 200]])[number]
    one_gap(session)


def one_gap(session: Session) -> None:
    """Check that each voice is there, but for one piece of it."""
    for track, sent in zip(session.tracks, (CALLER_SOUND, CALLEE_SOUND), strict=True):
        ((_, missing),) = gaps(track.raw, sent)
        assert missing > 0
        assert place_in(track.raw[:FRAME_BYTES], sent) is not None


def test_srs_that_hangs_up_says_why(studio: Studio) -> None:
    srs, connector = bad_recorder(studio, *switches("srs-hangs-up", 1))
    call = place(studio, "both-tracks", connector=connector)
    stream = call.stream("both", StreamState.FAILED)
    assert stream.error_code == UNREACHABLE
    assert call.hang_up().end_reason == "bye"
    promised("srs-hangs-up", call, srs)
    assert studio.over(stream, srs).ended_by == "srs-bye"


def test_srs_that_ends_one_of_two_streams_gets_the_other(studio: Studio) -> None:
    speaking = Speaking(studio, "srs-ends-a-line")
    poll(speaking.call.alerts)
    promised("srs-ends-a-line", speaking.call, speaking.srs)
    so_far = speaking.session().track("2").seconds_so_far
    poll(lambda: speaking.session().track("2").seconds_so_far >= so_far + TALK_S)
    assert speaking.call.hang_up().end_reason == "bye"
    session = studio.over(speaking.stream, speaking.srs)
    assert (session.ended_by, session.problems) == ("src-bye", [])
    assert session.track("1").summary["directions"][-1][1] == "removed"
    assert place_in(session.track("2").raw, CALLEE_SOUND) is not None


@pytest.mark.parametrize("number", [0, 1], ids=["488", "silence"])
def test_srs_that_refuses_a_reinvite_gets_nothing_all_the_same(studio: Studio, number: int) -> None:
    speaking = Speaking(studio, "srs-refuses-re-invite", number)
    studio.hear(speaking.stream, TALK_S, speaking.srs)
    studio.stack.cli("stream", "pause", speaking.stream.sid, "--wait")
    poll(speaking.call.alerts)
    promised("srs-refuses-re-invite", speaking.call, speaking.srs)
    assert speaking.call.stream("both", StreamState.PAUSED)
    assert speaking.call.hang_up().end_reason == "bye"
    session = studio.over(speaking.stream, speaking.srs)
    assert (session.ended_by, session.problems) == ("src-bye", [])
    heard(session)


def test_srs_that_wants_a_longer_timer_gets_it(studio: Studio) -> None:
    speaking = Speaking(studio, "srs-wants-a-longer-timer")
    speaking.talk_on()
    assert [each.state for each in speaking.srs.sessions()] == ["refused", "recording"]
    refused = speaking.srs.sessions()[0]
    session = speaking.over()
    assert (refused.summary["refused_with"], refused.headers("Session-Expires")) == (422, ["1800"])
    assert session.summary["session_timer"]["interval_s"] == 3600
    assert (session.headers("Session-Expires"), session.headers("Min-SE")) == (["3600"], ["3600"])
    heard(session)


def test_srs_that_puts_off_a_pause_gets_nothing_meanwhile(studio: Studio) -> None:
    speaking = Speaking(studio, "srs-puts-off")
    studio.hear(speaking.stream, TALK_S, speaking.srs)
    studio.stack.cli("stream", "pause", speaking.stream.sid, "--wait")
    assert speaking.call.stream("both", StreamState.PAUSED)
    poll(speaking.is_inactive, why=lambda: str(speaking.session()))
    paused = speaking.session()
    # By the clock of the recorder alone: it has agreed two seconds after its 503.
    put_off = moment(paused.summary["received_requests"][0]["at"])
    late = [moment(track.summary["last_packet"]) - put_off for track in paused.tracks]
    assert max(late) < timedelta(seconds=1)
    studio.stack.cli("stream", "resume", speaking.stream.sid, "--wait")
    speaking.talk_on()
    session = speaking.over()
    asked = [(r["method"], r["status"]) for r in session.summary["received_requests"]]
    assert asked == [("INVITE", 503), ("INVITE", 200), ("INVITE", 200), ("BYE", 200)]
    one_gap(session)


def moment(iso: str) -> datetime:
    """Read a time of summary.json."""
    return datetime.fromisoformat(iso)


def test_srs_that_forgets_a_session_is_left_for_another(studio: Studio) -> None:
    srs, other, connector = forgetful(studio)
    call = place(studio, "both-tracks", connector=connector)
    stream = sound(studio, call, srs)
    studio.stack.cli("stream", "pause", stream.sid, "--wait")
    poll(lambda: is_inactive(other.session_of(stream.sid)), why=lambda: str(other.sessions()))
    so_far = other.sessions()[0].packets
    studio.stack.cli("stream", "resume", stream.sid, "--wait")
    studio.hear(stream, TALK_S, other)
    assert call.hang_up().end_reason == "bye"
    assert so_far == 0
    assert shown_alerts(call, srs, other) == promised_alerts("srs-forgets")[:2]
    assert [each.sid for each in call.streams()] == [stream.sid]
    (lost,) = srs.sessions()
    requests = [(each["method"], each["status"]) for each in lost.summary["received_requests"]]
    assert requests == [("INVITE", 481)]
    heard(studio.session(stream, other))


def test_srs_that_forgets_again_fails_the_stream(studio: Studio) -> None:
    srs, connector = bad_recorder(studio, *switches("srs-forgets"))
    call = place(studio, "both-tracks", connector=connector)
    stream = sound(studio, call, srs)
    studio.stack.cli("stream", "pause", stream.sid)
    poll(lambda: len(srs.sessions()) == 2, why=lambda: str(call.streams()))
    assert call.stream("both", StreamState.PAUSED).sid == stream.sid
    studio.stack.cli("stream", "resume", stream.sid)
    assert call.stream("both", StreamState.FAILED).error_code == UNREACHABLE
    assert call.hang_up().end_reason == "bye"
    assert shown_alerts(call, srs) == promised_alerts("srs-forgets")[2:]
    assert len(srs.sessions()) == 2


def is_inactive(session: Session | None) -> bool:
    """Tell whether nothing is to be sent on any m-line of a session now."""
    return session is not None and all(
        track.summary["directions"][-1][1] == "inactive" for track in session.tracks
    )


def forgetful(studio: Studio) -> tuple[ReferenceSrs, ReferenceSrs, str]:
    """Start the two recorders of `srs-forgets`, and set a connector with both."""
    srs, other = studio.rig.srs(*switches("srs-forgets")), studio.rig.srs()
    name = f"By hand {srs.address}"
    words = ("--srs", f"{srs.uri},priority=1", "--srs", f"{other.uri},priority=2")
    studio.stack.cli("connector", "set", name, *words)
    return srs, other, name


def promised_alerts(case: str) -> list[str]:
    """Give the alerts that a README shows, with any gap."""
    lines = re.findall(r"^    ((?:error|warning) .+)$", readme(case), re.M)
    return [re.sub(r"  +", "  ", re.sub(r"gap of \S+ s", "gap", line)) for line in lines]


def shown_alerts(call: SpokenCall, *recorders: ReferenceSrs) -> list[str]:
    """Give the alerts about a call as a README shows them."""
    text = "\n".join(f"{a.level.value}  {a.code}  SR…  {a.text}" for a in call.alerts())
    for port, srs in enumerate(recorders, 5090):
        text = text.replace(srs.address, f"127.0.0.1:{port}")
    return re.sub(r"gap of \S+ s", "gap", text).splitlines()


def test_srs_that_knows_no_update_is_told_by_reinvite(studio: Studio) -> None:
    srs = studio.rig.srs(*switches("srs-knows-no-update"))
    name = f"By hand {srs.address}"
    studio.stack.cli("connector", "set", name, "--srs", srs.uri, "--metadata-by", "update")
    end = callee(studio, "callee-holds/callee.xml")
    caller = "callee-holds/caller.xml"
    call = place(studio, "both-tracks", caller=caller, callees={BOB: end.port}, connector=name)
    stream = sound(studio, call, srs)

    def requests() -> list[tuple[str, int]]:
        session = srs.session_of(stream.sid)
        assert session is not None
        return [(r["method"], r["status"]) for r in session.summary["received_requests"]]

    told = [("UPDATE", 501), ("INVITE", 200), ("INVITE", 200)]
    for step, count in (("held", 2), ("goes on", 3)):
        end.tell(call.call().sip_call_id)
        end.wait_logged(step)
        poll(lambda n=count: requests() == told[:n])  # type: ignore[misc]
    call.hang_up()
    end.done()
    assert call.alerts() == []
    heard(studio.session(stream, srs))
    assert requests() == [*told, ("BYE", 200)]
