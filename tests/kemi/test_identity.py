"""Who the ends of a call say that they are, and who is believed."""

import pytest

from siprec.model import Party
from siprec.settings import Settings
from siprec_kemi.proxy.identity import asserted_party, first_party, party_in
from siprec_kemi.proxy.policy import Policy
from tests.kemi.strict_ksr import StrictKsr

POLICY = Policy(Settings())
CAROL = Party(name="Carol", uri="sip:carol@example.com")


def says(ksr: StrictKsr, asserted: str, *privacy: str, source: str = "127.0.0.1") -> None:
    """Let the message at hand have these headers, and come from there."""
    ksr.variables |= {"$hdr(P-Asserted-Identity)": asserted, "$si": source}
    ksr.variables["$hdrc(Privacy)"] = len(privacy)
    for index, value in enumerate(privacy):
        ksr.variables[f"$(hdr(Privacy)[{index}])"] = value


@pytest.mark.parametrize(
    ("asserted", "party"),
    [
        ('"Carol" <sip:carol@example.com>', CAROL),
        ('"Carol" <sip:carol@example.com>, <tel:+1555>', CAROL),
        ("<tel:+1555>", Party(uri="tel:+1555")),
        ("", None),
        ("<sip:carol", None),
    ],
)
def test_asserted_identity_of_a_trusted_peer_is_believed(
    ksr: StrictKsr, asserted: str, party: Party | None
) -> None:
    says(ksr, asserted)
    assert asserted_party(POLICY) == party


def test_asserted_identity_of_a_stranger_is_not_believed(ksr: StrictKsr) -> None:
    says(ksr, "<sip:carol@example.com>", source="192.0.2.1")
    assert asserted_party(POLICY) is None


@pytest.mark.parametrize(
    ("privacy", "is_private"),
    [
        (["id"], True),
        (["user; ID"], True),
        (["none", "header;id"], True),
        (["none"], False),
        (["identity"], False),
        ([], False),
    ],
)
def test_asserted_identity_may_be_private(
    ksr: StrictKsr, privacy: list[str], is_private: bool
) -> None:
    says(ksr, "<sip:carol@example.com>", *privacy)
    assert (asserted_party(POLICY) is None) is is_private


@pytest.mark.parametrize(
    ("value", "party"),
    [
        ('"Ann" <sip:ann@example.com>;tag=t', Party(name="Ann", uri="sip:ann@example.com")),
        ("garbage", Party(uri="garbage")),
        ("x" * 300, Party(uri="x" * 255)),
    ],
)
def test_party_of_any_header_is_read(ksr: StrictKsr, value: str, party: Party) -> None:
    ksr.variables["$hdr(From)"] = value
    assert party_in("From") == party


@pytest.mark.parametrize(
    ("asserted", "party"),
    [
        (None, Party(name="Ann", uri="sip:ann@h", tag="t")),
        (Party(name="A", uri="sip:ann@h"), Party(name="Ann", uri="sip:ann@h", tag="t")),
        (
            CAROL,
            Party(name="Carol", uri="sip:carol@example.com", tag="t", dialog_uri="sip:ann@h"),
        ),
    ],
)
def test_first_party_is_who_is_asserted_and_keeps_its_uri_in_the_dialog(
    ksr: StrictKsr, asserted: Party | None, party: Party
) -> None:
    ksr.variables["$hdr(From)"] = '"Ann" <sip:ann@h>;tag=t'
    assert first_party("From", "t", asserted=asserted) == party
