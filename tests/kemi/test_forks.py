"""Forks in a real rtpengine: what its replies mean to a leg, and which come too late."""

from dataclasses import replace

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.messages import (
    delete_call,
    list_calls,
    parse_calls,
    subscribe_answer,
    subscribe_request,
)
from siprec import events as e
from siprec.connector import Connector, Digits, Keying, RtpProfile, Srs
from siprec.model import StreamState
from siprec.sdp import Profile
from siprec.srs_uri import parse_srs_uri
from siprec_kemi.clock import now_ms
from siprec_kemi.src import forks as module
from siprec_kemi.src.forks import Media, media_of
from tests.kemi.fork_rig import Rig
from tests.kemi.recording import send_rtcp
from tests.rtpengine.daemon import Rtpengine, free_udp_port
from tests.rtpengine.media import RtpEndpoint, recorder_answer
from tests.siprec.streams import NOW_MS, STREAM_SID

POOL = Connector(
    account_sid="AC1",
    name="Pool",
    srs=(Srs(uri="sip:a"),),
    suites=("AEAD_AES_256_GCM",),
    codecs=("PCMA",),
    digits=Digits.KEEP,
)


# What a connector wants


@pytest.mark.parametrize(
    ("uri", "keying", "profile", "with_feedback", "suites"),
    [
        ("sip:a", Keying.SDES, Profile.AVP, Profile.AVPF, ()),
        ("sips:a", Keying.SDES, Profile.AVP, Profile.AVPF, ()),
        (
            "sip:a;secure=true",
            Keying.SDES,
            Profile.SAVP,
            Profile.SAVPF,
            ("AEAD_AES_256_GCM",),
        ),
        ("sip:a;secure=true", Keying.DTLS, Profile.DTLS, Profile.DTLS_F, ()),
        ("sip:a", Keying.DTLS, Profile.AVP, Profile.AVPF, ()),
    ],
)
def test_media_is_protected_as_the_srs_and_the_connector_say(
    uri: str, keying: Keying, profile: Profile, with_feedback: Profile, suites: tuple[str, ...]
) -> None:
    pool = replace(POOL, keying=keying)
    media = media_of(pool, parse_srs_uri(uri), "dublin")
    assert (media.profile, media.suites, media.interface) == (profile, suites, "dublin")
    pool = replace(pool, rtp_profile=RtpProfile.AVPF)
    assert media_of(pool, parse_srs_uri(uri), "dublin") == replace(media, profile=with_feedback)


def test_media_has_the_codecs_and_digits_of_the_connector() -> None:
    srs = parse_srs_uri("sip:a")
    assert media_of(POOL, srs, None) == Media(codecs=("PCMA",), keep_digits=True)
    assert media_of(replace(POOL, codecs=(), digits=Digits.STRIP), srs, None) == Media()


# A real rtpengine


daemon = pytest.mark.daemon


@daemon
def test_fork_is_offered_answered_and_released(rig: Rig, recorders: list[RtpEndpoint]) -> None:
    sdp = rig.fork(*recorders)
    assert [line for line in sdp.splitlines() if line.startswith(("m=", "a=label:"))][1::2] == [
        "a=label:1",
        "a=label:2",
    ]
    said = rig.media.talk(5, "recorded")
    assert [each.receive(5) for each in recorders] == list(said)
    rig.forks.release(rig.call, STREAM_SID, 1, rig.leg.fork_tag)
    assert rig.next() == e.ForkReleased()
    rig.media.talk(5, "after")
    assert all(each.hears_nothing() for each in recorders)


@daemon
def test_fork_is_offered_with_the_suites_of_the_connector(rig: Rig) -> None:
    offered = rig.request(Media(profile=Profile.SAVP, suites=("AEAD_AES_256_GCM",)))
    assert isinstance(offered, e.ForkOffered)
    lines = [each for each in offered.offer.sdp.splitlines() if each.startswith("a=crypto:")]
    assert [line.split()[1] for line in lines] == ["AEAD_AES_256_GCM"] * 2
    assert offered.offer.sdp.count("RTP/SAVP") == 2


@daemon
def test_fork_that_must_not_be_asked_for_is_refused_for_good(rig: Rig) -> None:
    refused = rig.request(Media(codecs=("PCMA",)))
    assert isinstance(refused, e.ForkRefused)
    assert not refused.retryable
    assert rig.loop.sockets == []


@daemon
def test_fork_of_a_party_that_rtpengine_does_not_know_yet_may_be_asked_for_again(
    rig: Rig,
) -> None:
    rig.call = replace(rig.call, sid="CA2a" + "f" * 30)
    refused = rig.request()
    assert isinstance(refused, e.ForkRefused)
    assert refused.retryable


@daemon
def test_fork_of_a_call_that_rtpengine_does_not_know_is_refused_for_good(rig: Rig) -> None:
    rig.call = replace(rig.call, sip_call_id="unheard-of")
    refused = rig.request()
    assert isinstance(refused, e.ForkRefused)
    assert not refused.retryable
    assert refused.text.startswith("rtpengine: ")


@daemon
@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("rtp.example:2223", "rtp.example:2223: 'rtp.example' is not an IP address"),
        ("", "the media of the call does not pass through any"),
    ],
)
def test_rtpengine_at_no_address_is_told_at_once(rig: Rig, address: str, why: str) -> None:
    rig.call = replace(rig.call, rtpengine=address)
    assert rig.stream is not None
    rig.forks.request(rig.call, rig.stream, rig.leg, Media())
    (refused,) = rig.events
    assert isinstance(refused, e.ForkRefused)
    assert refused.text == f"rtpengine: {why}"


@daemon
def test_rtpengine_that_is_silent_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [1_000.0]
    monkeypatch.setattr(module, "monotonic_s", lambda: now_s[0])
    rig.call = replace(rig.call, rtpengine=f"127.0.0.1:{free_udp_port()}")
    assert rig.stream is not None
    rig.forks.request(rig.call, rig.stream, rig.leg, Media())
    for _ in range(50):
        due_s = rig.forks.next_due_s()
        if due_s is None:
            break
        now_s[0] = due_s
        rig.forks.tick()
    (refused,) = rig.events
    assert isinstance(refused, e.ForkRefused)
    assert refused.retryable
    assert rig.forks.next_due_s() is None


@daemon
def test_reply_about_an_older_fork_is_left(rig: Rig) -> None:
    assert rig.stream is not None
    rig.forks.request(rig.call, rig.stream, rig.leg, Media())
    rig.change(fork_tag=f"{rig.leg.fork_tag}-new")
    rig.settle()
    rig.stream = None
    assert rig.events == []


@daemon
def test_answer_for_a_fork_that_is_gone_is_refused(rig: Rig, recorders: list[RtpEndpoint]) -> None:
    rig.change(answer=recorder_answer(*recorders))
    assert rig.stream is not None
    rig.forks.answer(rig.call, rig.stream, rig.leg)
    assert isinstance(rig.next(), e.ForkAnswerRefused)


@daemon
def test_answer_for_a_call_that_has_just_ended_is_nobodys_fault(
    rig: Rig, recorders: list[RtpEndpoint]
) -> None:
    rig.fork(*recorders)
    rig.media.ask("delete")
    assert rig.stream is not None
    rig.forks.answer(rig.call, rig.stream, rig.leg)
    rig.forks.release(replace(rig.call, ended_ms=NOW_MS), STREAM_SID, 1, rig.leg.fork_tag)
    assert rig.next() == e.ForkReleased()
    assert rig.events == []


@daemon
def test_fork_of_a_call_that_is_over_is_released_without_a_fault(
    rig: Rig, rtpengine: Rtpengine
) -> None:
    rig.media.ask("delete")
    rig.call = replace(rig.call, ended_ms=NOW_MS)
    faults = rtpengine.log
    rig.forks.release(rig.call, STREAM_SID, 1, rig.leg.fork_tag)
    assert rig.next() == e.ForkReleased()
    assert rtpengine.log == faults


# The gate of a pause


def open_fork(rig: Rig, recorders: list[RtpEndpoint]) -> tuple[str, ...]:
    """Let the fork flow; give the label of the m-line of each recorder."""
    offered = rig.request()
    assert isinstance(offered, e.ForkOffered)
    answer, state = recorder_answer(*recorders), StreamState.RECORDING
    rig.change(offer=offered.offer, answer=answer, state=state)
    give_answer(rig)
    assert rig.next() == e.ForkAnswered()
    ordered = sorted(offered.offer.media, key=lambda media: media.fork_index)
    return tuple(media.label for media in ordered)


def give_answer(rig: Rig, *gated: str) -> None:
    """Give rtpengine the answer with these labels cut off."""
    rig.change(gated=gated)
    assert rig.stream is not None
    rig.forks.answer(rig.call, rig.stream, rig.leg)


@daemon
def test_gate_cuts_off_one_party_and_opens_again(rig: Rig, recorders: list[RtpEndpoint]) -> None:
    labels = open_fork(rig, recorders)
    give_answer(rig, labels[0])
    assert rig.next() == e.ForkAnswered()
    said = rig.media.talk(5, "paused")
    assert recorders[1].receive(5) == said[1]
    assert recorders[0].hears_nothing()
    give_answer(rig)
    assert rig.next() == e.ForkAnswered()
    said = rig.media.talk(5, "resumed")
    assert [each.receive(5) for each in recorders] == list(said)


@daemon
def test_answers_of_a_fork_go_one_at_a_time_and_the_last_is_in_force(
    rig: Rig, recorders: list[RtpEndpoint]
) -> None:
    labels = open_fork(rig, recorders)
    for gated in (labels, (), labels[:1], labels):
        give_answer(rig, *gated)
    assert rig.next() == e.ForkAnswered()
    rig.settle()
    # One reply for all: it is the last one's.
    assert rig.events == []
    rig.media.talk(5, "paused")
    assert all(each.hears_nothing() for each in recorders)


@daemon
def test_answer_that_waits_is_forgotten_when_its_fork_is_released(
    rig: Rig, recorders: list[RtpEndpoint]
) -> None:
    open_fork(rig, recorders)
    for _ in range(2):
        give_answer(rig)
    rig.forks.release(rig.call, STREAM_SID, 1, rig.leg.fork_tag)
    assert rig.next() == e.ForkAnswered()
    assert rig.next() == e.ForkReleased()
    rig.settle()
    assert rig.events == []


@daemon
def test_answer_to_rtpengine_at_no_address_is_refused_each_time(
    rig: Rig, recorders: list[RtpEndpoint]
) -> None:
    rig.change(answer=recorder_answer(*recorders))
    rig.call = replace(rig.call, rtpengine="rtp.example:2223")
    for _ in range(2):
        give_answer(rig)
        assert isinstance(rig.events.pop(), e.ForkAnswerRefused)


@daemon
def test_forks_that_are_released_at_once_are_not_left_behind(
    rig: Rig, rtpengine: Rtpengine
) -> None:
    ports = rtpengine.ports_used()
    for number in range(50):
        rig.change(fork_tag=f"fork-{number}")
        assert rig.stream is not None
        rig.forks.request(rig.call, rig.stream, rig.leg, Media())
        rig.forks.release(rig.call, STREAM_SID, 1, rig.leg.fork_tag)
    rig.loop.until(rig.forks, lambda: rig.forks.next_due_s() is None)
    assert rig.events[-1] == e.ForkReleased()
    assert rtpengine.ports_come_to(ports)
    # An empty tag would keep the call.
    ask(rig.media.ng, delete_call(rig.media.call_id, rig.call.caller.tag))
    assert rig.media.call_id not in parse_calls(ask(rig.media.ng, list_calls(50)))


@daemon
def test_call_is_released_whole(rig: Rig) -> None:
    rig.forks.release_call(rig.call)
    rig.loop.until(
        rig.forks,
        lambda: rig.media.call_id not in parse_calls(ask(rig.media.ng, list_calls(50))),
    )


# When the SRS was last heard


@daemon
def test_srs_that_sends_no_rtcp_was_never_heard(rig: Rig, recorders: list[RtpEndpoint]) -> None:
    rig.fork(*recorders)
    rig.media.talk(5, "recorded")
    assert [len(each.receive(5)) for each in recorders] == [5, 5]
    assert rig.when_heard() is None


@daemon
@pytest.mark.parametrize("line", [0, 1])
def test_srs_is_heard_by_the_rtcp_of_any_line(
    rig: Rig, recorders: list[RtpEndpoint], line: int
) -> None:
    sdp = rig.fork(*recorders)
    began_ms = now_ms()
    send_rtcp(recorders[line], sdp, line)
    rig.loop.until(rig.forks, lambda: rig.when_heard() is not None)
    heard_ms = rig.when_heard()
    assert heard_ms is not None
    # rtpengine counts in seconds.
    assert began_ms - 1_000 <= heard_ms <= now_ms()


@daemon
def test_rtcp_of_another_srs_does_not_count(rig: Rig, recorders: list[RtpEndpoint]) -> None:
    rig.fork(*recorders)
    tags = [rig.media.caller.tag, rig.media.callee.tag]
    reply = ask(rig.media.ng, subscribe_request(rig.media.call_id, tags, "fork-other"))
    answer = subscribe_answer(rig.media.call_id, "fork-other", recorder_answer(*recorders))
    ask(rig.media.ng, answer)
    send_rtcp(recorders[0], str(reply["sdp"]))
    mine = rig.leg.fork_tag
    rig.change(fork_tag="fork-other")
    rig.loop.until(rig.forks, lambda: rig.when_heard() is not None)
    rig.change(fork_tag=mine)
    assert rig.when_heard() is None


@daemon
def test_fork_that_rtpengine_does_not_have_was_never_heard(rig: Rig) -> None:
    assert rig.when_heard() is None


@daemon
def test_question_about_an_unknown_call_is_not_answered(rig: Rig) -> None:
    known, rig.call = rig.call, replace(rig.call, sip_call_id="unheard-of")
    rig.forks.when_heard(rig.call, rig.leg, rig.heard.append)
    rig.call = known
    rig.settle()
    assert (rig.heard, rig.events, rig.ended) == ([], [], [])


@daemon
def test_call_of_another_proxy_is_left_to_it(rig: Rig) -> None:
    rig.forks.release_call(replace(rig.call, is_plugged_in=True))
    assert rig.forks.next_due_s() is None
    assert rig.media.call_id in parse_calls(ask(rig.media.ng, list_calls(50)))
