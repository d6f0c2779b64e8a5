"""Cases of sipp-scenarios/ in which the recorder speaks up in the dialog: what is recorded then."""

import pytest

from siprec.model import Stream, StreamState
from tests.scenarios.by_hand import (
    TALK_S,
    bad_recorder,
    heard,
    place,
    promised,
    switches,
)
from tests.scenarios.polling import poll
from tests.scenarios.sounds import FRAME_BYTES, gaps, place_in
from tests.scenarios.srs import Session
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
        return all(
            track.summary["directions"][-1][1] == "inactive" for track in self.session().tracks
        )

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

    poll(lambda: statuses().get("CANCEL") and statuses()["INVITE"])
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
