"""Whatever a recorder answers: refused with an error of ours, or as safe as a good answer."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.errors import SiprecError, SrtpError
from siprec.multipart import Part, compose, mixed_type, parse, sdp_of
from siprec.sdp import (
    CheckedAnswer,
    Media,
    Offer,
    OfferedMedia,
    Profile,
    check_answer,
    compose_offer,
    hide_keys,
)
from siprec.sdp import parse as parse_sdp
from siprec.sdp.session import numeric_address
from tests.siprec.fork_sdp import LABELS, WANTED, crypto, fingerprint, fork, media, srtp_key
from tests.siprec.mutations import mutate_multipart, mutate_sdp

SEED = 20_261_122
CASES = 500
CM_80, GCM_256 = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"

PROTECTION = {
    Profile.AVP: (),
    Profile.SAVP: (crypto(1, GCM_256), crypto(2, CM_80)),
    Profile.DTLS: ("a=setup:actpass", f"a=fingerprint:{fingerprint()}"),
}
PROTECTION |= {profile.with_feedback: lines for profile, lines in PROTECTION.items()}
ANSWERED = {
    Profile.AVP: (),
    Profile.SAVP: (crypto(2, CM_80, "theirs"),),
    Profile.DTLS: ("a=setup:active", f"a=fingerprint:{fingerprint('sha-384')}"),
}
ANSWERED |= {profile.with_feedback: lines for profile, lines in ANSWERED.items()}


def _offer(profile: Profile) -> Offer:
    digits = ("8 PCMA/8000", "0", "101 telephone-event/8000")
    lines = PROTECTION[profile]
    video = media("1", kind="video", proto=profile, port=30000, formats=("96 VP8/90000",))
    blocks = [
        media(label, proto=profile, formats=digits, extra=lines, port=port)
        for label, port in (("0", 30136), ("1", 30150))
    ]
    suites = (CM_80, GCM_256)
    sdp = fork(blocks[0], video, blocks[1])
    return compose_offer(sdp, WANTED, LABELS, 42, 1, profile=profile, suites=suites)


OFFERS = {profile: _offer(profile) for profile in Profile}


def _good(profile: Profile) -> str:
    head = ["v=0", "o=srs 1 1 IN IP4 10.0.0.9", "s=srs", "c=IN IP4 10.0.0.9", "t=0 0"]
    block = [f"m=audio 4000 {profile} 8 0", "a=rtpmap:8 PCMA/8000", *ANSWERED[profile]]
    second = [line.replace("4000", "4002") for line in block]
    return "\r\n".join([*head, *block, "a=recvonly", *second, "a=recvonly", "a=rtcp:4003", ""])


def _assert_guarded(profile: Profile, checked: CheckedAnswer) -> None:
    """Hold what rtpengine would be given against the fork and the offer."""
    offer = OFFERS[profile]
    clean = parse_sdp(checked.sdp).media
    assert [(m.kind, m.proto) for m in clean] == [(f.kind, f.proto) for f in offer.fork]
    by_index = {o.fork_index: o for o in offer.media}
    live = [index for index, m in enumerate(clean) if m.port and m.direction != "inactive"]
    held = [m for m in clean if m.port and m.direction == "inactive"]
    assert {m.connection for m in held} <= {"0.0.0.0"}
    assert len(held) <= len(checked.inactive)
    assert [by_index[i].label for i in sorted(live, reverse=True)] == list(checked.accepted)
    for index in live:
        _assert_media(profile, clean[index], by_index[index])
    labels = checked.accepted + checked.refused + checked.inactive
    assert sorted(labels) == ["1", "2"]


def _assert_media(profile: Profile, media: Media, offered: OfferedMedia) -> None:
    assert media.proto == profile
    assert media.direction == "recvonly"
    assert media.formats
    assert set(media.codecs.values()) <= set(offered.codecs)
    address = numeric_address(media.connection)
    assert address is not None
    assert not address.is_multicast
    assert not address.is_unspecified
    assert address.version == 4
    keys = media.values("crypto")
    if profile.has_sdes:
        (key,) = keys
        tag, suite, secret = key.split(" ")
        assert (tag, suite) in offered.crypto
        assert secret.partition("|")[0].startswith("inline:")
        # 30 bytes, or 44.
        assert len(secret.partition("|")[0]) - len("inline:") == {CM_80: 40, GCM_256: 60}[suite]
    else:
        assert keys == []
    dtls = [media.values("setup"), media.values("fingerprint")]
    if profile.has_dtls:
        (setup,), (value,) = dtls
        assert setup in ("active", "passive")
        assert value.startswith(("sha-256 ", "sha-384 ", "sha-512 "))
    else:
        assert dtls == [[], []]


def _assert_quotes_no_key(error: SiprecError, answer: str) -> None:
    secret = srtp_key(CM_80, "theirs").removeprefix("inline:")
    pieces = {secret[i : i + 20] for i in range(len(secret) - 19)}
    assert not any(piece in str(error) for piece in pieces), answer


def _outcome(profile: Profile, answer: str) -> bool:
    """Check one answer; tell whether it was taken."""
    try:
        checked = check_answer(OFFERS[profile], answer)
    except SiprecError as error:
        _assert_quotes_no_key(error, answer)
        return False
    _assert_guarded(profile, checked)
    return True


@pytest.mark.parametrize("profile", Profile)
def test_good_answer_is_taken(profile: Profile) -> None:
    assert _outcome(profile, _good(profile))


def test_five_hundred_mutated_answers_are_refused_or_safe() -> None:
    rng = Random(SEED)
    outcomes: dict[Profile, set[bool]] = {profile: set() for profile in Profile}
    for case in range(CASES):
        profile = list(Profile)[case % len(Profile)]
        outcomes[profile].add(_outcome(profile, mutate_sdp(rng, _good(profile))))
    # The mutations are neither harmless nor deadly.
    assert all(seen == {True, False} for seen in outcomes.values())


def test_mutated_answers_with_srtp_errors_name_them() -> None:
    rng = Random(SEED)
    seen: set[str] = set()
    for _ in range(CASES):
        try:
            check_answer(OFFERS[Profile.SAVP], mutate_sdp(rng, _good(Profile.SAVP)))
        except SrtpError as error:
            seen.add(error.why.partition(": ")[2] or error.why)
        except SiprecError:
            continue
    for reason in ("RTP/AVP, RTP/SAVP was offered", "no key", "2 keys", "bytes", "not offered"):
        assert any(reason in why for why in seen), reason


@given(st.sampled_from(list(Profile)), st.randoms(use_true_random=False))
def test_any_mutated_answer_is_refused_or_safe(profile: Profile, rng: Random) -> None:
    _outcome(profile, mutate_sdp(rng, _good(profile)))


@pytest.mark.parametrize("profile", [p for p in Profile if not p.is_plain])
@given(rng=st.randoms(use_true_random=False), answer=st.sampled_from(list(Profile)))
def test_answer_to_a_secure_offer_never_yields_clear_media(
    profile: Profile, rng: Random, answer: Profile
) -> None:
    """Also answers that would be good for another offer, damaged or not."""
    text = _good(answer)
    if rng.random() < 0.5:
        text = mutate_sdp(rng, text)
    try:
        checked = check_answer(OFFERS[profile], text)
    except SiprecError:
        return
    assert "RTP/AVP" not in checked.sdp
    _assert_guarded(profile, checked)


@given(st.randoms(use_true_random=False))
def test_hide_keys_of_a_mutated_answer_leaves_no_whole_key(rng: Random) -> None:
    key = srtp_key(CM_80, "theirs")
    assert key not in hide_keys(mutate_sdp(rng, _good(Profile.SAVP)))


BOUNDARY = "boundary"


def _multipart(profile: Profile) -> bytes:
    parts = (
        Part(content_type="application/sdp", body=_good(profile).encode()),
        Part(content_type="application/rs-metadata+xml", disposition="x", body=b"<recording/>"),
    )
    return compose(parts, BOUNDARY)


def _multipart_outcome(profile: Profile, body: bytes) -> bool:
    content_type = mixed_type(BOUNDARY)
    sdp = sdp_of(content_type, body)
    try:
        parse(body, content_type)
    except SiprecError:
        assert sdp is None
    return sdp is not None and _outcome(profile, sdp)


def test_five_hundred_mutated_multipart_answers_are_refused_or_safe() -> None:
    rng = Random(SEED)
    outcomes = set()
    for case in range(CASES):
        profile = list(Profile)[case % len(Profile)]
        outcomes.add(_multipart_outcome(profile, mutate_multipart(rng, _multipart(profile))))
    assert outcomes == {True, False}


@given(st.sampled_from(list(Profile)), st.randoms(use_true_random=False))
def test_any_mutated_multipart_answer_is_refused_or_safe(profile: Profile, rng: Random) -> None:
    _multipart_outcome(profile, mutate_multipart(rng, _multipart(profile)))
