"""Secured forks of a call in a real rtpengine, decrypted by libsrtp and compared byte for byte."""

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.messages import parse_fork_offer, subscribe_answer, subscribe_request
from siprec.sdp import (
    SUITES,
    ForkError,
    Offer,
    Profile,
    SrtpError,
    check_answer,
    compose_offer,
    parse,
)
from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall, RtpEndpoint
from tests.rtpengine.srtp import DtlsEndpoint, SrtpEndpoint, crypto_of

pytestmark = pytest.mark.daemon

CM_80 = "AES_CM_128_HMAC_SHA1_80"
PACKETS = 30


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close at the end what a test has opened."""
    with ExitStack() as opened:
        yield opened


def fork(
    call: AnsweredCall,
    profile: Profile = Profile.AVP,
    suites: Sequence[str] = (CM_80,),
    *,
    transcode: Sequence[str] = (),
    keep_digits: bool = False,
) -> Offer:
    """Let rtpengine fork both parties, and compose the offer to the recorder."""
    tags = [call.caller.tag, call.callee.tag]
    command = subscribe_request(
        call.call_id,
        tags,
        "fork-1",
        profile=profile,
        suites=suites,
        transcode=transcode,
        keep_digits=keep_digits,
    )
    reply = parse_fork_offer(ask(call.ng, command), tags)
    wanted = [(call.caller.tag, "1"), (call.callee.tag, "2")]
    return compose_offer(
        reply.sdp,
        wanted,
        reply.labels,
        1,
        1,
        profile=profile,
        suites=suites,
        keep_digits=keep_digits,
    )


def answer_to(offer: Offer, recorders: Sequence[RtpEndpoint], formats: str = "0") -> str:
    """Write what a recorder answers that takes both m-lines."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    for media, recorder in zip(parse(offer.sdp).media, recorders, strict=True):
        lines += [f"m=audio {recorder.port} {media.proto} {formats}", "a=recvonly"]
        match recorder:
            case SrtpEndpoint():
                lines.append(recorder.crypto)
            case DtlsEndpoint():
                lines += recorder.lines
    return "\r\n".join([*lines, ""])


def start(call: AnsweredCall, sdp: str) -> None:
    ask(call.ng, subscribe_answer(call.call_id, "fork-1", sdp))


def record(
    call: AnsweredCall, offer: Offer, recorders: Sequence[RtpEndpoint], formats: str = "0"
) -> None:
    """Answer through `check_answer`, talk, and hear at both recorders what was said."""
    checked = check_answer(offer, answer_to(offer, recorders, formats))
    assert checked.accepted == ("1", "2")
    start(call, checked.sdp)
    for recorder, media in zip(recorders, parse(offer.sdp).media, strict=True):
        if isinstance(recorder, DtlsEndpoint):
            recorder.shake(media.port, media.attribute("fingerprint") or "")
    if Profile.DTLS in offer.sdp:
        await_keys(call, recorders)
    said = call.talk(PACKETS, "recorded")
    assert [each.receive(PACKETS) for each in recorders] == list(said)


def await_keys(call: AnsweredCall, recorders: Sequence[RtpEndpoint]) -> None:
    """Talk until both recorders hear it.

    rtpengine drops what comes before it has read the last message of a handshake.
    """
    give_up = time.monotonic() + 5
    while True:
        said = call.talk(1, "handshake")
        if all([each.hears(one[0]) for each, one in zip(recorders, said, strict=True)]):
            return
        assert time.monotonic() < give_up, "rtpengine has no keys"


def sdes_recorders(stack: ExitStack, offer: Offer, suite: str) -> list[RtpEndpoint]:
    """Open two recorders that take the offered keys of this suite."""
    recorders: list[RtpEndpoint] = []
    for number, (tag, key) in enumerate(crypto_of(offer.sdp, suite), 1):
        recorder = stack.enter_context(closing(SrtpEndpoint(f"recorder-{number}", suite=suite)))
        recorder.takes(tag, key)
        recorders.append(recorder)
    return recorders


def recorders_for(stack: ExitStack, offer: Offer, profile: Profile) -> list[RtpEndpoint]:
    """Open two recorders that suit the profile."""
    match profile:
        case Profile.SAVP | Profile.SAVPF:
            return sdes_recorders(stack, offer, CM_80)
        case Profile.DTLS | Profile.DTLS_F:
            return [
                stack.enter_context(closing(DtlsEndpoint(f"recorder-{role}", role)))
                for role in ("active", "passive")
            ]
        case _:
            return [stack.enter_context(closing(RtpEndpoint(f"recorder-{n}"))) for n in (1, 2)]


@pytest.mark.parametrize("suite", SUITES)
def test_fork_with_sdes_carries_what_was_said(
    call: AnsweredCall, stack: ExitStack, suite: str
) -> None:
    offer = fork(call, Profile.SAVP, [suite])
    assert [[s for _, s in media.crypto] for media in offer.media] == [[suite], [suite]]
    assert not any(media.has_call_key for media in offer.media)
    assert offer.sdp.count("a=crypto") == offer.sdp.count(f" {suite} inline:") == 2
    assert "setup" not in offer.sdp
    recorders = sdes_recorders(stack, offer, suite)
    assert recorders[0] is not recorders[1]
    record(call, offer, recorders)


def test_fork_with_several_suites_offers_them_in_the_order_of_the_operator(
    call: AnsweredCall, stack: ExitStack
) -> None:
    suites = [CM_80, "AEAD_AES_128_GCM", "AES_256_CM_HMAC_SHA1_32"]
    offer = fork(call, Profile.SAVP, suites)
    assert [[s for _, s in media.crypto] for media in offer.media] == [suites, suites]
    record(call, offer, sdes_recorders(stack, offer, "AEAD_AES_128_GCM"))


@pytest.mark.parametrize("role", ["active", "passive"])
def test_fork_with_dtls_carries_what_was_said(
    call: AnsweredCall, stack: ExitStack, role: str
) -> None:
    offer = fork(call, Profile.DTLS)
    assert "crypto" not in offer.sdp
    assert offer.sdp.count("a=setup:actpass") == offer.sdp.count("a=fingerprint:sha-256 ") == 2
    names = ("recorder-1", "recorder-2")
    record(call, offer, [stack.enter_context(closing(DtlsEndpoint(n, role))) for n in names])


@pytest.mark.parametrize("profile", [p for p in Profile if p.endswith("F")])
def test_fork_with_feedback_carries_what_was_said(
    call: AnsweredCall, stack: ExitStack, profile: Profile
) -> None:
    offer = fork(call, profile)
    assert [media.proto for media in parse(offer.sdp).media] == [profile, profile]
    record(call, offer, recorders_for(stack, offer, profile))


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize(
    ("caller", "callee"),
    [(RtpEndpoint, SrtpEndpoint), (SrtpEndpoint, RtpEndpoint), (SrtpEndpoint, SrtpEndpoint)],
    ids=["plain-srtp", "srtp-plain", "srtp-srtp"],
)
def test_fork_of_a_secured_call_carries_what_was_said(
    rtpengine: Rtpengine,
    stack: ExitStack,
    caller: type[RtpEndpoint],
    callee: type[RtpEndpoint],
    profile: Profile,
) -> None:
    ends = caller("caller", 0xA), callee("callee", 0xB)
    call = stack.enter_context(closing(AnsweredCall(rtpengine.ng, "call-1", *ends)))
    call.talk(5, "before")
    offer = fork(call, profile)
    record(call, offer, recorders_for(stack, offer, profile))
    call.talk(5, "after")


def test_fork_of_a_call_with_the_same_suite_tells_that_it_has_the_keys_of_the_call(
    rtpengine: Rtpengine, stack: ExitStack
) -> None:
    ends = SrtpEndpoint("caller", 0xA), RtpEndpoint("callee", 0xB)
    call = stack.enter_context(closing(AnsweredCall(rtpengine.ng, "call-1", *ends)))
    offer = fork(call, Profile.SAVP)
    assert [media.has_call_key for media in offer.media] == [True, False]
    assert [key == ends[0].key for _, key in crypto_of(offer.sdp, CM_80)] == [True, False]


def test_fork_of_a_call_with_another_suite_has_keys_of_its_own(
    rtpengine: Rtpengine, stack: ExitStack
) -> None:
    ends = SrtpEndpoint("caller", 0xA), SrtpEndpoint("callee", 0xB)
    call = stack.enter_context(closing(AnsweredCall(rtpengine.ng, "call-1", *ends)))
    offer = fork(call, Profile.SAVP, [CM_80, "AES_CM_128_HMAC_SHA1_32"])
    assert not any(media.has_call_key for media in offer.media)
    assert all(end.key not in offer.sdp for end in ends)
    record(call, offer, sdes_recorders(stack, offer, "AES_CM_128_HMAC_SHA1_32"))


@pytest.mark.parametrize("suite", [suite for suite in SUITES if suite != CM_80])
def test_fork_without_the_suite_of_the_call_leaves_the_call_its_keys(
    rtpengine: Rtpengine, stack: ExitStack, suite: str
) -> None:
    ends = SrtpEndpoint("caller", 0xA), SrtpEndpoint("callee", 0xB)
    call = stack.enter_context(closing(AnsweredCall(rtpengine.ng, "call-1", *ends)))
    call.talk(5, "before")
    offer = fork(call, Profile.SAVP, [suite])
    assert [[s for _, s in media.crypto] for media in offer.media] == [[suite], [suite]]
    assert not any(media.has_call_key for media in offer.media)
    record(call, offer, sdes_recorders(stack, offer, suite))
    call.talk(5, "after")


def test_fork_with_an_mki_and_a_lifetime_in_the_answer_carries_what_was_said(
    call: AnsweredCall, stack: ExitStack
) -> None:
    offer = fork(call, Profile.SAVP)
    recorders = sdes_recorders(stack, offer, CM_80)
    answer = answer_to(offer, recorders)
    for recorder in recorders:
        assert isinstance(recorder, SrtpEndpoint)
        answer = answer.replace(recorder.crypto, f"{recorder.crypto}|2^31|1:4 WSH=64")
    checked = check_answer(offer, answer)
    assert checked.sdp.count("|1:4\r\n") == 2
    start(call, checked.sdp)
    said = call.talk(PACKETS, "recorded")
    assert [each.receive(PACKETS) for each in recorders] == list(said)


def test_fork_with_one_m_line_refused_carries_the_other(
    call: AnsweredCall, stack: ExitStack
) -> None:
    offer = fork(call, Profile.SAVP)
    recorders = sdes_recorders(stack, offer, CM_80)
    answer = answer_to(offer, recorders).replace(f"audio {recorders[1].port} ", "audio 0 ")
    checked = check_answer(offer, answer)
    assert (checked.accepted, checked.refused) == (("1",), ("2",))
    start(call, checked.sdp)
    said = call.talk(PACKETS, "recorded")
    assert recorders[0].receive(PACKETS) == said[0]
    assert recorders[1].hears_nothing()


def _other_key(recorder: SrtpEndpoint) -> str:
    return base64.b64encode(recorder.secret[:-1]).decode()


Change = Callable[[str, SrtpEndpoint], str]

DOWNGRADES: dict[str, tuple[Change, str]] = {
    "profile": (lambda text, _: text.replace("RTP/SAVP", "RTP/AVP"), "is RTP/AVP, RTP/SAVP was"),
    "no key": (lambda text, r: text.replace(f"{r.crypto}\r\n", ""), "no key"),
    "suite": (lambda text, _: text.replace(CM_80, "AES_CM_128_HMAC_SHA1_32"), "was not offered"),
    "null": (lambda text, _: text.replace(CM_80, "NULL_HMAC_SHA1_80"), "was not offered"),
    "tag": (lambda text, r: text.replace(r.crypto, r.crypto.replace(":", ":7", 1)), "tag 7"),
    "short": (lambda text, r: text.replace(r.key, _other_key(r)), "has 29 bytes"),
    "clear": (lambda text, r: text.replace(r.key, f"{r.key} UNENCRYPTED_SRTP"), "not encrypted"),
}


@pytest.mark.parametrize("kind", DOWNGRADES)
def test_downgrade_is_refused_and_no_packet_leaves(
    call: AnsweredCall, stack: ExitStack, kind: str
) -> None:
    offer = fork(call, Profile.SAVP)
    recorders = sdes_recorders(stack, offer, CM_80)
    assert isinstance(recorders[0], SrtpEndpoint)
    change, why = DOWNGRADES[kind]
    with pytest.raises(SrtpError, match=why) as caught:
        check_answer(offer, change(answer_to(offer, recorders), recorders[0]))
    assert caught.value.code == 32207
    call.talk(PACKETS, "not recorded")
    assert all(each.hears_nothing() for each in recorders)


@pytest.mark.parametrize(
    ("names", "codecs"),
    [
        (("PCMA",), ("PCMA/8000",)),
        (("PCMU",), ("PCMU/8000",)),
        (("G722", "PCMA"), ("G722/8000", "PCMA/8000")),
        (("opus",), ("OPUS/48000/2",)),
    ],
)
def test_fork_that_is_transcoded_offers_exactly_these_codecs(
    call: AnsweredCall, names: tuple[str, ...], codecs: tuple[str, ...]
) -> None:
    offer = fork(call, transcode=names, keep_digits=True)
    for media in offer.media:
        assert tuple(c for c in media.codecs if not c.startswith("TELEPHONE-EVENT")) == codecs
        assert media.codecs[-1].startswith("TELEPHONE-EVENT/")


def test_fork_that_is_transcoded_to_an_unknown_codec_is_not_used(call: AnsweredCall) -> None:
    with pytest.raises(ForkError, match="has no audio codec"):
        fork(call, transcode=["nonsense"], keep_digits=True)


def test_fork_that_is_transcoded_and_secured_carries_the_codec_of_the_offer(
    call: AnsweredCall, stack: ExitStack
) -> None:
    offer = fork(call, Profile.SAVP, transcode=["PCMA"], keep_digits=True)
    recorders = sdes_recorders(stack, offer, CM_80)
    start(call, check_answer(offer, answer_to(offer, recorders, "8 101")).sdp)
    # One by one: what comes out of order the decoder may take for lost.
    for _ in range(PACKETS):
        call.talk(1, "transcoded")
    # Silence of PCMU (7F) is silence of PCMA (D5 or 55); the encoder has nothing to add to it.
    for recorder in recorders:
        for payload in recorder.receive(PACKETS - 5):
            assert payload[-40:] in (b"\xd5" * 40, b"\x55" * 40)


def test_fork_that_keeps_digits_carries_them(call: AnsweredCall, stack: ExitStack) -> None:
    offer = fork(call, Profile.SAVP, keep_digits=True)
    recorders = sdes_recorders(stack, offer, CM_80)
    start(call, check_answer(offer, answer_to(offer, recorders, "0 101")).sdp)
    said = call.caller.send(5, "audio") + call.caller.send(3, "event", payload_type=101)
    assert call.callee.receive(8) == said
    assert recorders[0].receive(8) == said
