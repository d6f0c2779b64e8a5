"""Where the INVITE of a leg goes."""

import pytest

from siprec.errors import SipUriError
from siprec.leg_target import target_of
from siprec.model import Leg


def test_target_is_the_srs_as_its_connector_has_it() -> None:
    target = target_of(Leg(srs="sip:srs.example;secure=true&edge=ashburn"))
    assert str(target.wire) == "sip:srs.example;transport=tls"
    assert (target.secure, target.edge) == (True, "ashburn")


def test_target_of_a_redirect_keeps_protection_and_edge_of_the_srs() -> None:
    srs = "sips:srs.example;secure=true&edge=ashburn"
    target = target_of(Leg(srs=srs, redirect="sips:other.example:5071?Subject=x"))
    assert str(target.wire) == "sips:other.example:5071"
    assert (target.secure, target.edge) == (True, "ashburn")


@pytest.mark.parametrize(
    "redirect",
    ["sip:other.example", "sip:other.example;transport=tcp", "sip:other.example;transport=udp"],
)
@pytest.mark.parametrize("srs", ["sips:srs.example", "sip:srs.example;transport=tls"])
def test_target_of_a_redirect_that_leaves_tls_is_refused(srs: str, redirect: str) -> None:
    with pytest.raises(SipUriError, match="would leave TLS"):
        target_of(Leg(srs=srs, redirect=redirect))


@pytest.mark.parametrize(
    ("srs", "redirect"),
    [
        ("sip:srs.example", "sips:other.example"),
        ("sip:srs.example", "sip:other.example;transport=udp"),
        ("sips:srs.example", "sip:other.example;transport=tls"),
    ],
)
def test_target_of_a_redirect_that_is_no_less_safe_is_followed(srs: str, redirect: str) -> None:
    assert target_of(Leg(srs=srs, redirect=redirect)).host == "other.example"


@pytest.mark.parametrize("redirect", ["http://srs", "sip:"])
def test_target_of_a_redirect_that_is_no_uri_is_refused(redirect: str) -> None:
    with pytest.raises(SipUriError):
        target_of(Leg(srs="sip:srs.example", redirect=redirect))
