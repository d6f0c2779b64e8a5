"""SRTP in the SDP: what a fork offers, what an answer may say, and that no key is ever shown."""

import base64
from collections.abc import Sequence

import pytest

from siprec.errors import SdpError
from siprec.record import SDP, from_local_json, to_local_json
from siprec.sdp import (
    SUITES,
    CheckedAnswer,
    ForkError,
    Offer,
    Profile,
    SrtpError,
    check_answer,
    compose_offer,
    hide_keys,
    parse,
)
from tests.siprec.fork_sdp import LABELS, WANTED, crypto, fingerprint, fork, media, srtp_key

CM_80 = "AES_CM_128_HMAC_SHA1_80"
CM_32 = "AES_CM_128_HMAC_SHA1_32"
GCM_256 = "AEAD_AES_256_GCM"
RARE = "AES_192_CM_HMAC_SHA1_80"


def _offer(
    *lines: str,
    profile: Profile = Profile.SAVP,
    suites: Sequence[str] = (CM_80,),
    head: Sequence[str] = (),
    of_srtp_call: bool = False,
) -> Offer:
    """Compose the offer of one party; `lines` protect the fork's only m-line."""
    block = media("1", proto=profile, extra=lines)
    return compose_offer(
        fork([*head, *block]),
        WANTED[:1],
        LABELS,
        42,
        1,
        profile=profile,
        suites=suites,
        of_srtp_call=of_srtp_call,
    )


def _answer(*lines: str, profile: str = Profile.SAVP, head: Sequence[str] = ()) -> str:
    session = ["v=0", "o=- 1 1 IN IP4 10.0.0.9", "s=-", "c=IN IP4 10.0.0.9", "t=0 0", *head]
    return "\r\n".join([*session, f"m=audio 4000 {profile} 8", "a=recvonly", *lines, ""])


def _protection(sdp: str) -> list[str]:
    names = ("a=crypto:", "a=setup:", "a=fingerprint:")
    return [line for line in sdp.splitlines() if line.startswith(names)]


def test_suites_are_those_an_operator_may_choose() -> None:
    assert len(SUITES) == 8
    assert not any(suite.startswith(("NULL", "F8")) for suite in SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_offer_of_a_suite_is_answered_with_it(suite: str) -> None:
    offer = _offer(crypto(3, suite), suites=[suite])
    assert _protection(offer.sdp) == [crypto(3, suite)]
    assert offer.media[0].crypto == (("3", suite),)
    theirs = crypto(3, suite, "theirs")
    checked = check_answer(offer, _answer(theirs))
    assert _protection(checked.sdp) == [theirs]
    assert parse(checked.sdp).media[0].proto == "RTP/SAVP"
    assert from_local_json(Offer, to_local_json(offer)) == offer


def test_offer_holds_wanted_suites_alone_in_the_order_of_the_operator() -> None:
    lines = [crypto(n, suite) for n, suite in enumerate([*SUITES, "NULL_HMAC_SHA1_80"], 1)]
    dtls = ("a=setup:actpass", f"a=fingerprint:{fingerprint()}")
    offer = _offer(*lines, *dtls, suites=[CM_80, GCM_256, CM_80])
    assert _protection(offer.sdp) == [crypto(7, CM_80), crypto(1, GCM_256)]
    assert offer.media[0].crypto == (("7", CM_80), ("1", GCM_256))


def test_offer_drops_what_is_no_usable_key() -> None:
    params = f"{crypto(2, CM_80)} UNENCRYPTED_SRTCP"
    offer = _offer("a=crypto:nonsense", params, crypto(3, CM_32), suites=[CM_80, CM_32])
    assert offer.media[0].crypto == (("3", CM_32),)


@pytest.mark.parametrize(
    ("lines", "suites", "offered", "has_call_key"),
    [
        ([(1, RARE), (2, CM_80)], [CM_80], [("2", CM_80)], False),
        ([(1, CM_80), (2, RARE)], [CM_80], [("1", CM_80)], True),
        ([(1, CM_80), (2, RARE), (3, CM_32)], [CM_80, CM_32], [("3", CM_32)], False),
        ([(1, CM_80), (2, CM_32), (3, RARE)], [CM_32, CM_80], [("2", CM_32), ("1", CM_80)], True),
        ([(7, GCM_256), (1, RARE)], [GCM_256], [("7", GCM_256)], True),
        ([(1, GCM_256), (2, CM_80)], [GCM_256, CM_80], [("1", GCM_256), ("2", CM_80)], False),
    ],
)
def test_offer_prefers_keys_of_rtpengine_to_those_of_the_call(
    lines: list[tuple[int, str]],
    suites: list[str],
    offered: list[tuple[str, str]],
    has_call_key: bool,
) -> None:
    offer = _offer(*(crypto(tag, suite) for tag, suite in lines), suites=suites)
    assert list(offer.media[0].crypto) == offered
    assert offer.media[0].has_call_key is has_call_key


@pytest.mark.parametrize(
    ("lines", "suites", "offered", "has_call_key"),
    [
        ([(1, GCM_256), (2, CM_80)], [GCM_256, CM_80], [("2", CM_80)], False),
        ([(1, GCM_256), (2, CM_80)], [GCM_256], [("1", GCM_256)], True),
        ([(1, CM_80), (2, GCM_256), (3, CM_32)], [GCM_256], [("2", GCM_256)], False),
        ([(1, RARE), (2, CM_80)], [CM_80], [("2", CM_80)], False),
    ],
)
def test_offer_of_a_secure_call_takes_no_key_that_may_be_of_the_call(
    lines: list[tuple[int, str]],
    suites: list[str],
    offered: list[tuple[str, str]],
    has_call_key: bool,
) -> None:
    protection = [crypto(tag, suite) for tag, suite in lines]
    offer = _offer(*protection, suites=suites, of_srtp_call=True)
    assert list(offer.media[0].crypto) == offered
    assert offer.media[0].has_call_key is has_call_key


def test_offer_with_dtls_holds_role_and_fingerprint_alone() -> None:
    lines = ("a=setup:actpass", f"a=fingerprint:{fingerprint()}", crypto(1, CM_80))
    offer = _offer(*lines, profile=Profile.DTLS)
    assert _protection(offer.sdp) == list(lines[:2])
    assert offer.media[0].crypto == ()


@pytest.mark.parametrize(
    ("lines", "profile", "suites", "why"),
    [
        ((crypto(1, CM_32),), Profile.SAVP, (CM_80,), f"no key for {CM_80}"),
        ((), Profile.SAVP, (CM_80,), f"no key for {CM_80}"),
        ((crypto(1, CM_80),), Profile.SAVP, (), "no key for no suite"),
        ((f"a=fingerprint:{fingerprint()}",), Profile.DTLS, (), "a=setup is none of"),
        (("a=setup:holdconn", f"a=fingerprint:{fingerprint()}"), Profile.DTLS, (), "a=setup is"),
        (("a=setup:actpass",), Profile.DTLS, (), "no a=fingerprint"),
        (("a=setup:actpass", "a=fingerprint:sha-1 AA:BB"), Profile.DTLS, (), "no a=fingerprint"),
    ],
)
def test_offer_of_a_fork_without_protection_is_refused(
    lines: tuple[str, ...], profile: Profile, suites: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ForkError, match=why) as caught:
        _offer(*lines, profile=profile, suites=suites)
    assert not caught.value.retryable


@pytest.mark.parametrize("asked", Profile)
@pytest.mark.parametrize("got", Profile)
def test_offer_of_a_fork_with_another_profile_is_refused(asked: Profile, got: Profile) -> None:
    lines = (crypto(1, CM_80), "a=setup:actpass", f"a=fingerprint:{fingerprint()}")
    sdp = fork(media("1", proto=got, extra=lines))
    if asked is got:
        offer = compose_offer(sdp, WANTED[:1], LABELS, 1, 1, profile=asked, suites=[CM_80])
        assert parse(offer.sdp).media[0].proto == asked
        return
    with pytest.raises(ForkError, match=f"profile {got} instead of {asked}"):
        compose_offer(sdp, WANTED[:1], LABELS, 1, 1, profile=asked, suites=[CM_80])


@pytest.mark.parametrize("suite", ["NULL_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80", "x"])
def test_offer_of_a_suite_that_must_not_be_is_refused(suite: str) -> None:
    with pytest.raises(ValueError, match=f"{suite} must not be offered"):
        _offer(crypto(1, suite), suites=[CM_80, suite])


@pytest.mark.parametrize(
    ("said", "passed_on"),
    [
        (crypto(2, CM_80), crypto(2, CM_80)),
        (crypto(2, CM_80).replace(CM_80, CM_80.lower()), crypto(2, CM_80)),
        (crypto(2, CM_80).replace("inline", "INLINE"), crypto(2, CM_80)),
        (crypto(1, GCM_256).rstrip("="), crypto(1, GCM_256)),
        (f"{crypto(2, CM_80)}|2^31", crypto(2, CM_80)),
        (f"{crypto(2, CM_80)}|1048576|1:4", f"{crypto(2, CM_80)}|1:4"),
        (f"{crypto(2, CM_80)}|255:1", f"{crypto(2, CM_80)}|255:1"),
        (f"{crypto(2, CM_80)} WSH=64 -FOO=1", crypto(2, CM_80)),
    ],
)
def test_answer_with_a_good_key_is_written_anew(said: str, passed_on: str) -> None:
    offer = _offer(crypto(1, GCM_256), crypto(2, CM_80), suites=[CM_80, GCM_256])
    assert _protection(check_answer(offer, _answer(said)).sdp) == [passed_on]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "there is no key"),
        (("a=setup:active", f"a=fingerprint:{fingerprint()}"), "there is no key"),
        ((crypto(1, CM_80), crypto(1, CM_80)), "there are 2 keys"),
        ((crypto(1, CM_32),), f"suite {CM_32} was not offered"),
        ((crypto(1, "NULL_HMAC_SHA1_80"),), "suite NULL_HMAC_SHA1_80 was not offered"),
        ((crypto(1, CM_80).replace(CM_80, "né"),), "suite of a=crypto was not offered"),
        ((crypto(2, CM_80),), f"tag 2 was not offered for {CM_80}, but 1"),
        (("a=crypto:1",), "malformed"),
        ((crypto(1, CM_80).replace("inline:", "file:"),), "the key of a=crypto is malformed"),
        ((f"{crypto(1, CM_80)};{srtp_key(CM_80)}",), "or there are several"),
        ((f"a=crypto:1 {CM_80} inline:A",), "not base64"),
        ((f"a=crypto:1 {CM_80} inline:AAAA",), f"has 3 bytes, {CM_80} takes 30"),
        ((crypto(1, CM_80) + "|1:0",), "the MKI of a=crypto is malformed"),
        ((crypto(1, CM_80) + "|1:129",), "the MKI of a=crypto is malformed"),
        ((crypto(1, CM_80) + "|2^31|:4",), "the MKI of a=crypto is malformed"),
        ((crypto(1, CM_80) + "|256:1",), "longer than it says"),
        ((crypto(1, CM_80) + " UNENCRYPTED_SRTP",), "not encrypted"),
        ((crypto(1, CM_80) + " -UNENCRYPTED_SRTCP",), "not encrypted"),
        ((crypto(1, CM_80) + " unauthenticated_srtp",), "not authenticated"),
        ((crypto(1, CM_80) + " KDR=3",), "session parameter KDR is not supported"),
        ((crypto(1, CM_80) + " F.O=3",), "session parameter of a=crypto is not supported"),
    ],
)
def test_answer_with_another_key_is_refused(lines: tuple[str, ...], why: str) -> None:
    with pytest.raises(SrtpError, match=f"m-line 1: .*{why}") as caught:
        check_answer(_offer(crypto(1, CM_80)), _answer(*lines))
    assert (caught.value.code, caught.value.retryable) == (32207, False)
    assert srtp_key(CM_80).removeprefix("inline:") not in str(caught.value)


@pytest.mark.parametrize("offered", Profile)
@pytest.mark.parametrize("said", [*Profile, "rtp/savp"])
def test_answer_with_another_profile_is_refused(offered: Profile, said: str) -> None:
    ours = (crypto(1, CM_80), "a=setup:actpass", f"a=fingerprint:{fingerprint()}")
    theirs = (crypto(1, CM_80), "a=setup:active", f"a=fingerprint:{fingerprint()}")
    offer, answer = _offer(*ours, profile=offered), _answer(*theirs, profile=said)
    if said == offered:
        assert check_answer(offer, answer).accepted == offer.labels
        return
    with pytest.raises(SdpError, match=f"m-line 1 is {said}, {offered} was offered") as caught:
        check_answer(offer, answer)
    # What is said otherwise of media in the clear takes no protection away.
    assert isinstance(caught.value, SrtpError) is not offered.is_plain


@pytest.mark.parametrize("waits", ["a=inactive", "c=IN IP4 0.0.0.0"])
def test_answer_that_waits_needs_a_key_too(waits: str) -> None:
    offer = _offer(crypto(1, CM_80))
    with pytest.raises(SrtpError, match="no key"):
        check_answer(offer, _answer(waits).replace("a=recvonly\r\n", ""))
    answer = _answer(waits, crypto(1, CM_80)).replace("a=recvonly\r\n", "")
    checked = check_answer(offer, answer)
    assert (checked.inactive, _protection(checked.sdp)) == (("1",), [crypto(1, CM_80)])


def test_answer_that_refuses_one_m_line_needs_no_key_there() -> None:
    blocks = (media(label, proto="RTP/SAVP", extra=[crypto(1, CM_80)]) for label in ("0", "1"))
    sdp = fork(*blocks)
    offer = compose_offer(sdp, WANTED, LABELS, 1, 1, profile=Profile.SAVP, suites=[CM_80])
    checked = check_answer(offer, _answer(crypto(1, CM_80)) + "m=audio 0 RTP/AVP 8\r\n")
    assert (checked.accepted, checked.refused) == (("1",), ("2",))
    assert [(m.port, m.proto) for m in parse(checked.sdp).media] == [
        (0, "RTP/SAVP"),
        (4000, "RTP/SAVP"),
    ]


_DTLS = ("a=setup:actpass", f"a=fingerprint:{fingerprint()}")


@pytest.mark.parametrize(
    ("lines", "head", "passed_on"),
    [
        (("a=setup:active", f"a=fingerprint:{fingerprint()}"), (), ("active", fingerprint())),
        (("a=setup:passive", f"a=fingerprint:{fingerprint()}"), (), ("passive", fingerprint())),
        ((), ("a=setup:ACTIVE", f"a=fingerprint:{fingerprint()}"), ("active", fingerprint())),
        (
            ("a=setup:active", f"a=fingerprint:{fingerprint().lower()}"),
            ("a=setup:passive", f"a=fingerprint:{fingerprint('sha-512')}"),
            ("active", fingerprint()),
        ),
        (
            (
                "a=setup:active",
                "a=fingerprint:sha-1 AA",
                "a=fingerprint:",
                f"a=fingerprint:{fingerprint()}",
                f"a=fingerprint:{fingerprint('sha-384')}",
            ),
            (),
            ("active", fingerprint("sha-384")),
        ),
    ],
)
def test_answer_with_dtls_passes_on_role_and_fingerprint(
    lines: tuple[str, ...], head: tuple[str, ...], passed_on: tuple[str, str]
) -> None:
    offer = _offer(*_DTLS, profile=Profile.DTLS)
    answer = _answer(*lines, crypto(1, CM_80), profile=Profile.DTLS, head=head)
    wanted = [f"a=setup:{passed_on[0]}", f"a=fingerprint:{passed_on[1]}"]
    assert _protection(check_answer(offer, answer).sdp) == wanted


@pytest.mark.parametrize(
    ("offered", "lines", "why"),
    [
        ("actpass", (_DTLS[1],), "a=setup is missing instead of active or passive"),
        ("actpass", _DTLS, "a=setup is actpass instead of active or passive"),
        ("actpass", ("a=setup:holdconn", _DTLS[1]), "a=setup is holdconn"),
        ("actpass", ("a=setup:x", _DTLS[1]), "a=setup is something else"),
        ("active", ("a=setup:active", _DTLS[1]), "a=setup is active instead of passive"),
        ("passive", ("a=setup:passive", _DTLS[1]), "a=setup is passive instead of active"),
        ("actpass", ("a=setup:active",), "no a=fingerprint of SHA-256 or better"),
        ("actpass", ("a=setup:active", "a=fingerprint:sha-1 AA:BB"), "no a=fingerprint"),
        ("actpass", ("a=setup:active", "a=fingerprint:sha-256 AA"), "a=fingerprint is malformed"),
        ("actpass", ("a=setup:active", "a=fingerprint:sha-256"), "a=fingerprint is malformed"),
        (
            "actpass",
            ("a=setup:active", _DTLS[1], f"a=fingerprint:{fingerprint(other=True)}"),
            "several certificates",
        ),
    ],
)
def test_answer_with_dtls_that_cannot_be_is_refused(
    offered: str, lines: tuple[str, ...], why: str
) -> None:
    offer = _offer(f"a=setup:{offered}", _DTLS[1], profile=Profile.DTLS)
    with pytest.raises(SrtpError, match=f"m-line 1: .*{why}"):
        check_answer(offer, _answer(*lines, profile=Profile.DTLS))


def test_hide_keys_hides_every_key_and_nothing_else() -> None:
    sdp = _answer(
        crypto(1, CM_80) + "|2^31|1:4 WSH=64", crypto(2, GCM_256).replace("inline", "INLINE")
    )
    hidden = hide_keys(sdp)
    assert f"a=crypto:1 {CM_80} inline:(hidden) WSH=64\r\n" in hidden
    assert f"a=crypto:2 {GCM_256} INLINE:(hidden)\r\n" in hidden
    assert hide_keys(hidden) == hidden
    assert hide_keys(_answer()) == _answer()
    assert hide_keys(f'{{"sdp":"{crypto(1, CM_80)}\\r\\na=x"}}').endswith('(hidden)\\r\\na=x"}')


def test_records_with_keys_are_marked_and_show_none() -> None:
    offer = _offer(crypto(1, CM_80))
    checked = check_answer(offer, _answer(crypto(1, CM_80)))
    for record in (offer, checked):
        assert "inline" not in repr(record)
    for cls in (Offer, CheckedAnswer):
        assert cls.__dataclass_fields__["sdp"].metadata == SDP


@pytest.mark.parametrize(
    "line",
    [
        "m=audio 4000 RTP/SAVP 8 {}",
        "m=audio 4000 {} 8",
        "m={} 4000 RTP/SAVP 8",
        "m={}",
        "c=IN IP4 {}",
        "c={}",
        "{}",
        "a\0={}",
        "a=rtpmap:8 {}",
        "a=crypto:1 {} {}",
        "a=crypto:{}",
    ],
)
def test_no_error_quotes_a_key(line: str) -> None:
    secret = base64.b64encode(bytes(range(30))).decode()
    for key in (secret, f"inline:{secret}"):
        answer = _answer(line.format(key, key))
        with pytest.raises(Exception, match="SDP") as caught:
            check_answer(_offer(crypto(1, CM_80)), answer)
        assert secret[:20] not in str(caught.value)
