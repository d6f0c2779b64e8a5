"""What the proxy reads of transfers in an INVITE and in a REFER."""

import pytest

from siprec.inbox import CallReferred
from siprec.model import Kinship
from siprec_kemi.proxy.kinship import kinship_of_invite, referral
from tests.kemi.strict_ksr import StrictKsr

TARGET = "sip:+15550001@h"


def receive(ksr: StrictKsr, **headers: str) -> None:
    """Let a request with these headers be at hand; `_` stands for a hyphen."""
    ksr.variables["$ru"] = TARGET
    ksr.variables |= {f"$hdr({name.replace('_', '-')})": text for name, text in headers.items()}


def test_invite_that_says_nothing_has_no_kinship(ksr: StrictKsr) -> None:
    receive(ksr)
    assert kinship_of_invite() is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Replaces": "old@h;from-tag=b;to-tag=a"}, {"replaces": "old@h", "tags": ("a", "b")}),
        ({"Replaces": "old@h"}, {}),
        ({"Referred_By": '"B" <sip:bob@h;x=y>;cid="1@h"'}, {"referred_by": "sip:bob@h;x=y"}),
        ({"Referred_By": "sip:bob@h"}, {"referred_by": "sip:bob@h"}),
        ({"Referred_By": "<<"}, {}),
        (
            {"Replaces": "old@h;from-tag=b;to-tag=a", "Referred_By": "<sip:bob@h>"},
            {"replaces": "old@h", "tags": ("a", "b"), "referred_by": "sip:bob@h"},
        ),
    ],
)
def test_invite_says_which_call_it_goes_on_with(
    ksr: StrictKsr, headers: dict[str, str], expected: dict[str, str]
) -> None:
    receive(ksr, **headers)
    assert kinship_of_invite() == Kinship(target=TARGET, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "by"),
    [
        ({"Referred_By": "<sip:bob@h>", "From": "<sip:else@h>;tag=t"}, "sip:bob@h"),
        ({"From": '"Bob" <sip:bob@h>;tag=t'}, "sip:bob@h"),
        ({"Referred_By": "<<"}, ""),
    ],
)
def test_refer_says_who_sends_the_other_one_where(
    ksr: StrictKsr, headers: dict[str, str], by: str
) -> None:
    receive(ksr, Refer_To="<sip:carol@h?Replaces=x>", **headers)
    expected = CallReferred(call_sid="CA1", target="sip:carol@h?Replaces=x", referred_by=by)
    assert referral("CA1") == expected


@pytest.mark.parametrize("refer_to", ["", "<<", "<sip:carol@h"])
def test_refer_to_nobody_is_passed_over(ksr: StrictKsr, refer_to: str) -> None:
    receive(ksr, Refer_To=refer_to, From="<sip:bob@h>")
    assert referral("CA1") is None
