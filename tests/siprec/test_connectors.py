"""Which connectors can be stored."""

from dataclasses import replace
from typing import Any

import pytest

from siprec.connector import (
    Connector,
    Delivery,
    Digits,
    Keying,
    MetadataBy,
    OnHold,
    Srs,
    TlsVersion,
)
from siprec.connectors import CODECS, MAX_SRS, ConnectorError, check_connector
from siprec.sdp import SUITES
from tests.siprec.pem import NOW_MS, certificate, ec_key, pem

PLAIN = Connector(account_sid="AC1", name="Default", srs=(Srs(uri="sip:srs.example.com"),))
SECURE = replace(PLAIN, srs=(Srs(uri="sip:srs.example.com;secure=true"),))
SECRET = "s3cret"


def why_not(connector: Connector, **more: Any) -> tuple[str, int, str]:
    """Give the field that is refused, the code, and why."""
    with pytest.raises(ConnectorError) as caught:
        check_connector(connector, **more)
    assert SECRET not in str(caught.value)
    return caught.value.field, caught.value.code, caught.value.why


def changed(connector: Connector, **fields: Any) -> Connector:
    """Give the connector with these fields changed."""
    return replace(connector, **fields)


def srs(*uris: str, **fields: Any) -> tuple[Srs, ...]:
    """Give recorders at these URIs."""
    return tuple(Srs(uri=uri, **fields) for uri in uris)


@pytest.mark.parametrize("name", ["Default", "My connector", "Zoë", "a" * 64])
def test_check_connector_takes_printable_names(name: str) -> None:
    connector = changed(PLAIN, name=name)
    assert check_connector(connector) == connector


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "empty"), ("a" * 65, "over 64"), ("a/b", "/"), ("a\nb", "unprintable")],
)
def test_check_connector_of_a_bad_name_says_why(name: str, why: str) -> None:
    field, code, said = why_not(changed(PLAIN, name=name))
    assert (field, code) == ("name", 31942)
    assert why in said


@pytest.mark.parametrize(
    "fields",
    [
        {"srs": srs("sip:a", "sip:b", "sip:a;transport=udp", "sip:x@a", "sip:a:5070")},
        {"srs": srs("sip:[::1]", priority=100, weight=1000, max_sessions=1, drained=True)},
        {"delivery": Delivery.PARALLEL},
        {"header_prefix": "X-"},
        {"header_prefix": "X"},
        {"headers": (("X-Site", "Zoë's"), ("X-Empty", ""))},
        {"credential_header": "X-Api-Key", "credential_value": SECRET},
        {"credential_header": "Authorization", "credential_value": f"Bearer {SECRET}"},
        {"digest_user": "rec", "digest_password": SECRET},
        {
            "digest_user": "rec",
            "digest_password": SECRET,
            "credential_header": "X-Api-Key",
            "credential_value": SECRET,
        },
        {"codecs": CODECS, "digits": Digits.KEEP},
        {"suites": tuple(SUITES)},
        {"srs": SECURE.srs, "keying": Keying.DTLS},
        {"srs": srs("sip:h;secure=true;transport=udp"), "keys_in_clear": True},
        {"srs": srs("sips:h;secure=true")},
        {"answer_s": 60, "total_s": 60, "options_s": 0, "failures": 100},
        {"answer_s": 1, "total_s": 300, "options_s": 3600},
        {"required": True, "end_call_s": 1},
        {"hold": OnHold.INACTIVE, "metadata_by": MetadataBy.UPDATE, "session_expires_s": 0},
        {"session_expires_s": 90},
        {"session_expires_s": 14_440},
    ],
)
def test_check_connector_takes_what_can_be_done(fields: dict[str, Any]) -> None:
    connector = changed(PLAIN, **fields)
    assert check_connector(connector) == connector


@pytest.mark.parametrize(
    ("fields", "field", "code", "why"),
    [
        ({"srs": ()}, "srs", 31942, "has 0 recorders"),
        ({"srs": srs(*(f"sip:h{i}" for i in range(MAX_SRS + 1)))}, "srs", 31942, "has 17"),
        ({"srs": srs("sip:h", "sip:h;lr")}, "srs[1].uri", 32110, "lr: the parameter lr"),
        ({"srs": srs("sip:h\r\nVia: x")}, "srs[0].uri", 32110, "host: "),
        ({"srs": srs("sip:h;edge=x")}, "srs[0].uri", 31942, "edge x is unknown (none is conf"),
        ({"srs": srs("sip:h", priority=0)}, "srs[0].priority", 31942, "0 must be from 1 to 100"),
        ({"srs": srs("sip:h", weight=1001)}, "srs[0].weight", 31942, "from 1 to 1000"),
        ({"srs": srs("sip:h", max_sessions=0)}, "srs[0].max_sessions", 31942, "1 or more"),
        ({"srs": srs("sip:h", "sip:H.:5060")}, "srs[1].uri", 31942, "same recorder as srs[0]"),
        ({"srs": srs("sip:[::1]", "sip:[0::1]")}, "srs[1].uri", 31942, "same recorder"),
        ({"header_prefix": "a" * 65}, "header_prefix", 31942, "over 64"),
        ({"header_prefix": "a b"}, "header_prefix", 32111, "not a SIP header name"),
        ({"header_prefix": "Con"}, "header_prefix", 32113, "'contact' begins"),
        ({"headers": (("X", "y"),)}, "headers[0]", 32113, "SIP itself"),
        ({"headers": (("A", "y"), ("X a", "y"))}, "headers[1]", 32111, "not a SIP header"),
        ({"headers": (("A", f"{SECRET}\r\nB: c"),)}, "headers[0]", 32112, "line break"),
        ({"headers": (("Aa", ""), ("aA", ""))}, "headers[1]", 32111, "stands twice"),
        ({"headers": (("A", ""),) * 33}, "headers", 31942, "more than 32"),
        ({"credential_header": "X-Key"}, "credential_value", 31942, "is missing"),
        ({"credential_value": SECRET}, "credential_header", 31942, "is missing"),
        (
            {"credential_header": "Via", "credential_value": SECRET},
            "credential_header",
            32113,
            "SIP itself",
        ),
        (
            {"credential_header": "Key", "credential_value": f"{SECRET}\n"},
            "credential_value",
            32112,
            "line break",
        ),
        (
            {
                "credential_header": "Key",
                "credential_value": "v",
                "headers": (("kEY", "v"),),
            },
            "headers[0]",
            32111,
            "is the credential header",
        ),
        ({"digest_user": "u"}, "digest_password", 31942, "is missing"),
        ({"digest_password": SECRET}, "digest_user", 31942, "is missing"),
        (
            {"digest_user": "u", "digest_password": f"{SECRET}\x00"},
            "digest_password",
            31942,
            "control",
        ),
        (
            {"digest_user": "u", "digest_password": SECRET * 1000},
            "digest_password",
            31942,
            "over 4096 bytes",
        ),
        ({"digest_user": "a:b", "digest_password": SECRET}, "digest_user", 31942, "colon"),
        ({"digest_user": "a\nb", "digest_password": SECRET}, "digest_user", 31942, "control"),
        ({"digest_user": "a" * 257, "digest_password": SECRET}, "digest_user", 31942, "256"),
        (
            {
                "digest_user": "u",
                "digest_password": SECRET,
                "credential_header": "Authorization",
                "credential_value": SECRET,
            },
            "credential_header",
            31942,
            "one or the other",
        ),
        ({"codecs": ("PCMA",)}, "codecs", 31942, "into tones"),
        (
            {"codecs": ("PCMA",), "digits": Digits.KEEP, "video": True},
            "codecs",
            31942,
            "drop the video",
        ),
        ({"codecs": ("AMR",), "digits": Digits.KEEP}, "codecs", 31942, "cannot encode"),
        ({"codecs": ("PCMA", "PCMA"), "digits": Digits.KEEP}, "codecs", 31942, "stands twice"),
        ({"suites": ()}, "suites", 31942, "one at least"),
        ({"suites": ("NULL_HMAC_SHA1_80",)}, "suites", 31942, "does not encrypt"),
        ({"suites": ("F8_128_HMAC_SHA1_80",)}, "suites", 31942, "F8"),
        ({"suites": ("ROT13",)}, "suites", 31942, "known: AEAD_AES_256_GCM"),
        ({"suites": ("AEAD_AES_128_GCM",) * 2}, "suites", 31942, "stands twice"),
        ({"keying": Keying.DTLS}, "keying", 31942, "no SRS has secure=true"),
        (
            {"srs": srs("sip:h;secure=true;transport=tcp")},
            "srs[0].uri",
            32209,
            "read the keys",
        ),
        (
            {"srs": srs("sip:h;secure=true;transport=udp"), "keying": Keying.DTLS},
            "srs[0].uri",
            32209,
            "forge the fingerprint",
        ),
        ({"tls_ca": "x"}, "tls_ca", 31942, "no SRS is reached over TLS"),
        ({"answer_s": 0}, "answer_s", 31942, "from 1 to 60"),
        ({"total_s": 301}, "total_s", 31942, "from 1 to 300"),
        ({"total_s": 9}, "total_s", 31942, "less than answer_s, 10"),
        ({"options_s": 4}, "options_s", 31942, "4 must be 0 (no health checks), or from 5"),
        ({"failures": 0}, "failures", 31942, "from 1 to 100"),
        (
            {"session_expires_s": 89},
            "session_expires_s",
            31942,
            "89 must be 0 (no session timer), or from 90 to 14440",
        ),
        ({"session_expires_s": 14_441}, "session_expires_s", 31942, "or from 90 to 14440"),
        ({"session_expires_s": -1}, "session_expires_s", 31942, "or from 90 to 14440"),
        ({"end_call_s": 10}, "end_call_s", 31942, "needs required"),
        ({"end_call_s": 0, "required": True}, "end_call_s", 31942, "from 1 to 3600"),
    ],
)
def test_check_connector_of_a_bad_field_names_it(
    fields: dict[str, Any], field: str, code: int, why: str
) -> None:
    where, got, said = why_not(changed(PLAIN, **fields))
    assert (where, got) == (field, code)
    assert why in said


def test_check_connector_with_an_edge_wants_one_that_is_configured() -> None:
    connector = changed(PLAIN, srs=srs("sip:h;edge=dublin"))
    assert check_connector(connector, edges=("dublin",)) == connector
    assert why_not(connector, edges={"tokyo", "ashburn"})[2] == (
        "edge: the edge dublin is unknown (known: ashburn, tokyo)"
    )


def test_check_connector_gives_normal_pem_and_sees_the_clock() -> None:
    key = ec_key()
    made = certificate(key, days=1)
    connector = changed(SECURE, tls_certificate=f"mine\n{made}", tls_key=pem(key))
    assert check_connector(connector, now_ms=NOW_MS).tls_certificate == made
    later = NOW_MS + 2 * 86_400_000
    assert why_not(connector, now_ms=later)[0] == "tls_certificate"


@pytest.mark.parametrize(
    ("uri", "other", "is_refused"),
    [
        ("sips:h", "sip:H.:5061;secure=true", True),
        ("sips:h", "sips:h:5061", True),
        ("sips:h", "sips:h:5062", False),
        ("sips:h;edge=dublin", "sips:h", False),
        ("sips:h;edge=dublin", "sips:h;edge=dublin", True),
        ("sip:h:5061", "sips:h", False),
        ("sips:h", "sip:h:5061", False),
        ("sips:h", "stored before there were rules", False),
    ],
)
def test_check_connector_at_the_tls_address_of_another_wants_its_profile(
    uri: str, other: str, is_refused: bool
) -> None:
    mine = changed(PLAIN, srs=srs("sip:first", uri))
    theirs = changed(
        PLAIN,
        account_sid="AC2",
        srs=srs("sip:theirs", other),
        tls_version=TlsVersion.V1_3,
    )
    if is_refused:
        field, code, why = why_not(mine, edges=["dublin"], others=[PLAIN, theirs])
        assert (field, code) == ("srs[1].uri", 31942)
        assert "'Default' of AC2 reaches" in why
        named = changed(theirs, account_sid="AC1", name="Theirs")
        assert "'Theirs' reaches" in why_not(mine, edges=["dublin"], others=[named])[2]
    else:
        assert check_connector(mine, edges=["dublin"], others=[PLAIN, theirs]) == mine
    same = changed(theirs, tls_version=TlsVersion.V1_2)
    assert check_connector(mine, edges=["dublin"], others=[same]) == mine


def test_check_connector_at_another_name_of_a_tls_address_wants_its_profile() -> None:
    names = {"a.example": ["192.0.2.1", "192.0.2.2"], "b.example": ["192.0.2.2"]}

    def addresses_of(host: str) -> list[str]:
        return names.get(host, [host])

    mine = changed(PLAIN, srs=srs("sips:a.example"))
    theirs = changed(PLAIN, name="Theirs", tls_version=TlsVersion.V1_3)
    for host, is_refused in (
        ("b.example", True),
        ("192.0.2.2", True),
        ("c.example", False),
        ("b.example:5062", False),
    ):
        other = changed(theirs, srs=srs(f"sips:{host}"))
        if is_refused:
            field, code, why = why_not(mine, others=[other], addresses_of=addresses_of)
            assert (field, code) == ("srs[0].uri", 31942)
            assert f"'Theirs' reaches {host} with another CA" in why
        else:
            assert check_connector(mine, others=[other], addresses_of=addresses_of) == mine


def test_check_connector_is_not_compared_with_what_it_replaces() -> None:
    before = changed(SECURE, tls_version=TlsVersion.V1_3)
    assert check_connector(SECURE, others=[before]) == SECURE
