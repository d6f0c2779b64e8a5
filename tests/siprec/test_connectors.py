"""Which connectors can be stored."""

import pytest

from siprec.connectors import ConnectorError, check_connector
from siprec.model import Connector, Srs


def _connector(name: str = "Default", srs: str = "sip:srs.example.com") -> Connector:
    return Connector(account_sid="AC1", name=name, srs=(Srs(uri=srs),))


@pytest.mark.parametrize("name", ["Default", "My connector", "Zoë", "a" * 64])
def test_check_connector_takes_printable_names(name: str) -> None:
    check_connector(_connector(name=name))


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "empty"), ("a" * 65, "over 64"), ("a/b", "/"), ("a\nb", "unprintable")],
)
def test_check_connector_of_a_bad_name_says_why(name: str, why: str) -> None:
    with pytest.raises(ConnectorError, match=why) as caught:
        check_connector(_connector(name=name))
    assert (caught.value.field, caught.value.code) == ("name", 31942)


def test_check_connector_of_a_bad_srs_names_the_part() -> None:
    with pytest.raises(ConnectorError, match="srs: lr: the parameter lr is unknown") as caught:
        check_connector(_connector(srs="sip:h;lr"))
    assert (caught.value.field, caught.value.code) == ("srs", 32110)
