"""Directions of our offer, and what of an answer rtpengine is told not to send."""

import pytest

from siprec.sdp import Offer, check_answer, compose_offer, gated_answer, muted_offer
from siprec.sdp.session import parse
from tests.siprec.fork_sdp import LABELS, WANTED, fork, media
from tests.siprec.streams import OFFER, answer_sdp

ANSWER = check_answer(OFFER, answer_sdp(4000, 4002)).sdp


def version(offer: Offer) -> str:
    return offer.sdp.splitlines()[1].split()[2]


def directions(offer: Offer) -> list[str]:
    return [each.direction for each in parse(offer.sdp).media]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("1",), ["inactive", "sendonly"]),
        (("2",), ["sendonly", "inactive"]),
        (("1", "2"), ["inactive", "inactive"]),
    ],
)
def test_muted_offer_is_inactive_where_it_is_said_and_a_version_on(
    labels: tuple[str, ...], expected: list[str]
) -> None:
    muted = muted_offer(OFFER, labels)
    assert (directions(muted), version(OFFER), version(muted)) == (expected, "1", "2")
    back = muted_offer(muted, ())
    assert (directions(back), version(back)) == (["sendonly", "sendonly"], "3")


@pytest.mark.parametrize("labels", [(), ("3",)])
def test_muted_offer_without_a_change_is_the_same_offer(labels: tuple[str, ...]) -> None:
    assert muted_offer(OFFER, labels) is OFFER
    muted = muted_offer(OFFER, ("1",))
    assert muted_offer(muted, ("1", *labels)) is muted


def test_muted_offer_changes_nothing_but_directions_and_the_version() -> None:
    muted = muted_offer(OFFER, ("1", "2"))
    changed = [
        (old, new)
        for old, new in zip(OFFER.sdp.splitlines(), muted.sdp.splitlines(), strict=True)
        if old != new
    ]
    directed = [("a=sendonly", "a=inactive")] * 2
    assert changed[1:] == directed
    assert changed[0][0].replace(" 1 IN", " 2 IN") == changed[0][1]
    assert (muted.media, muted.fork) == (OFFER.media, OFFER.fork)


def test_origin_that_is_none_keeps_as_it_is() -> None:
    odd = Offer(sdp=OFFER.sdp.replace("o=- ", "o=-"), media=OFFER.media, fork=OFFER.fork)
    assert muted_offer(odd, ("1",)).sdp.splitlines()[1] == odd.sdp.splitlines()[1]


def test_gated_answer_without_labels_is_the_answer() -> None:
    assert gated_answer(OFFER, ANSWER, ()) == ANSWER


@pytest.mark.parametrize("label", ["1", "2"])
def test_gated_answer_has_no_address_where_the_label_stands_in_the_fork(label: str) -> None:
    gated = gated_answer(OFFER, ANSWER, (label,))
    (shut,) = [each.fork_index for each in OFFER.media if each.label == label]
    before, after = parse(ANSWER).media, parse(gated).media
    assert (after[shut].connection, after[shut].direction) == ("0.0.0.0", "inactive")
    # DTLS and SRTP go on with what they had.
    assert after[shut].port == before[shut].port
    assert after[1 - shut] == before[1 - shut]


def test_gated_answer_keeps_the_address_family() -> None:
    blocks = (media(label, address="2001:db8::1") for label in ("0", "1"))
    offer = compose_offer(fork(*blocks), WANTED, LABELS, 1, 1)
    answer = check_answer(offer, answer_sdp(4000, 4002).replace("IP4 192.0.2.9", "IP6 2001:db8::9"))
    gated = gated_answer(offer, answer.sdp, ("1", "2"))
    assert [each.connection for each in parse(gated).media] == ["::", "::"]


def test_gated_answer_of_all_sends_nothing() -> None:
    gated = gated_answer(OFFER, ANSWER, ("1", "2"))
    assert "a=recvonly" not in gated
    assert gated.count("c=IN IP4 0.0.0.0\r\n") == 2
    assert gated.replace("0.0.0.0", "192.0.2.9").replace("a=inactive", "a=recvonly") == ANSWER


def test_gated_answer_is_cut_off_also_where_the_address_is_that_of_the_session() -> None:
    session_wide = ANSWER.replace("c=IN IP4 192.0.2.9\r\n", "")
    session_wide = session_wide.replace("t=0 0\r\n", "c=IN IP4 192.0.2.9\r\nt=0 0\r\n")
    gated = parse(gated_answer(OFFER, session_wide, ("1",))).media
    assert sorted(each.connection for each in gated) == ["0.0.0.0", "192.0.2.9"]
