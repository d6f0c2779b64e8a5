"""Audits: a real rtpengine is asked whether it still has a call and its forks."""

from dataclasses import replace

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.messages import delete_fork, subscribe_request, unsubscribe
from siprec import events as e
from siprec.model import Side, StreamState
from siprec_kemi.src import forks as module
from siprec_kemi.src.forks import SILENT_AUDITS
from tests.kemi.fork_rig import Rig
from tests.kemi.recording import proxied_call
from tests.rtpengine.daemon import free_udp_port
from tests.rtpengine.media import RtpEndpoint
from tests.siprec.streams import CALL_SID

pytestmark = pytest.mark.daemon


def test_audit_finds_all_well(rig: Rig, recorders: list[RtpEndpoint]) -> None:
    rig.fork(*recorders)
    rig.audit()
    rig.settle()
    assert (rig.events, rig.ended) == ([], [])


def test_audit_of_a_call_that_had_many_forks_is_answered(
    rig: Rig, recorders: list[RtpEndpoint]
) -> None:
    parties = [rig.call.caller.tag, rig.call.media_tag(Side.CALLEE)]
    for number in range(100):
        tag = f"fork-old-{number}"
        ask(rig.media.ng, subscribe_request(rig.media.call_id, parties, tag))
        ask(rig.media.ng, unsubscribe(rig.media.call_id, tag))
        ask(rig.media.ng, delete_fork(rig.media.call_id, tag))
    rig.fork(*recorders)
    for _ in range(SILENT_AUDITS):
        rig.audit()
        rig.settle()
    assert (rig.events, rig.ended) == ([], [])


def test_audit_finds_a_fork_that_is_gone(rig: Rig, recorders: list[RtpEndpoint]) -> None:
    rig.fork(*recorders)
    # As after a restart, and a re-INVITE of the call. (A fork that was deleted stays listed.)
    rig.media.ask("delete")
    again = proxied_call(rig.media.ng, rig.media.call_id)
    rig.audit()
    assert rig.next() == e.ForkLost()
    again.close()


def test_audit_leaves_a_fork_alone_that_does_not_record_yet_or_any_more(
    rig: Rig, recorders: list[RtpEndpoint]
) -> None:
    rig.audit()
    rig.settle()
    rig.change(state=StreamState.RECORDING)
    rig.audit()
    # The leg took another fork while the question was on its way.
    rig.change(fork_tag=f"{rig.leg.fork_tag}-new")
    rig.settle()
    assert rig.events == []


def test_audit_ends_a_call_that_rtpengine_does_not_know(rig: Rig) -> None:
    rig.media.ask("delete")
    rig.audit()
    rig.loop.until(rig.forks, lambda: rig.ended)
    assert rig.ended == [(CALL_SID, "media-gone")]


class Silence:
    """An rtpengine that does not answer audits, in a time of its own."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now_s = 1_000.0
        self._rig = rig
        monkeypatch.setattr(module, "monotonic_s", lambda: self._now_s)
        self.nowhere = replace(rig.call, rtpengine=f"127.0.0.1:{free_udp_port()}")

    def audits(self, count: int) -> None:
        """Let so many audits have no answer."""
        for _ in range(count):
            self._rig.forks.audit(self.nowhere, ())
            while (due_s := self._rig.forks.next_due_s()) is not None:
                self._now_s = due_s
                self._rig.forks.tick()


def test_audit_ends_a_call_whose_rtpengine_stays_silent(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = Silence(rig, monkeypatch)
    silence.audits(SILENT_AUDITS - 1)
    assert rig.ended == []
    silence.audits(1)
    assert rig.ended == [(CALL_SID, "media-gone")]


def test_audit_that_is_answered_makes_up_for_silent_ones(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = Silence(rig, monkeypatch)
    silence.audits(SILENT_AUDITS - 1)
    rig.audit()
    rig.settle()
    silence.audits(SILENT_AUDITS - 1)
    assert rig.ended == []
    rig.forks.forget_audits({CALL_SID})
    silence.audits(1)
    assert rig.ended == [(CALL_SID, "media-gone")]


def test_silent_audits_of_a_call_that_is_over_are_forgotten(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = Silence(rig, monkeypatch)
    silence.audits(SILENT_AUDITS - 1)
    rig.forks.forget_audits(set())
    silence.audits(SILENT_AUDITS - 1)
    assert rig.ended == []
