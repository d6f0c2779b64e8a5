"""What is shown of a connector."""

from dataclasses import fields

from siprec.connector import Connector, Delivery, Srs
from siprec.health import DAY_MS, Circuit, Load, SrsHealth, SrsLoad, key_in
from siprec_control import output
from siprec_control.commands.connector_view import (
    LIST_TITLES,
    SRS_TITLES,
    field_lines,
    list_row,
    plain,
    srs_row,
    views,
)
from tests.siprec.pem import certificate, ec_key

NOW_MS = 1_700_000_000_000
CONNECTOR = Connector(
    account_sid="AC1",
    name="main",
    srs=(
        Srs(uri="sip:a", priority=2, weight=3, max_sessions=10),
        Srs(uri="sip:b", drained=True),
        Srs(uri="sip:c"),
    ),
    delivery=Delivery.PARALLEL,
    headers=(("X-Site", "a"), ("X-Rack", "b")),
    credential_header="X-Key",
    credential_value="s3cret",
    tls_ca=certificate(ec_key(), name="ca.example"),
    codecs=("PCMA", "opus"),
    required=True,
)
KEYS = [key_in(CONNECTOR, srs.uri) for srs in CONNECTOR.srs]
HEALTHS = {
    KEYS[0]: SrsHealth(
        key=KEYS[0],
        reachable=True,
        checked_ms=NOW_MS,
        since_ms=NOW_MS,
        answered_ms=NOW_MS,
        text="200 OK",
        certificate_until_ms=NOW_MS + 9 * DAY_MS,
    ),
    KEYS[1]: SrsHealth(
        key=KEYS[1],
        reachable=False,
        text="no answer",
        since_ms=NOW_MS,
        certificate_until_ms=NOW_MS - 1,
    ),
}
LOADS = [
    Load(
        controller="one",
        at_ms=NOW_MS,
        srs=(
            SrsLoad(key=KEYS[0], sessions=2),
            SrsLoad(
                key=KEYS[2], circuit=Circuit.OPEN, failures=3, opened_ms=NOW_MS, text="503 Full"
            ),
        ),
    ),
    Load(
        controller="two",
        at_ms=NOW_MS,
        srs=(SrsLoad(key=KEYS[0], sessions=3), SrsLoad(key=KEYS[2])),
    ),
]
VIEWS = views(CONNECTOR, HEALTHS, LOADS, NOW_MS)


def test_fields_are_all_shown_without_secrets() -> None:
    lines = field_lines(CONNECTOR)
    assert [name for name, _ in lines] == [f.name for f in fields(Connector) if f.name != "srs"]
    shown = dict(lines)
    assert "s3cret" not in str(shown)
    assert (shown["credential_value"], shown["tls_key"]) == ("set", "not set")
    assert shown["tls_ca"] == "CN=ca.example until 2031-01-01"
    assert shown["headers"] == "X-Site: a, X-Rack: b"
    assert (shown["codecs"], shown["required"], shown["keys_in_clear"]) == (
        "PCMA, opus",
        "yes",
        "no",
    )
    assert (shown["answer_s"], shown["end_call_s"], shown["tls_certificate"]) == ("10", "", "")


def test_row_of_an_srs_tells_its_health_and_load() -> None:
    since = output.local_time(NOW_MS)
    assert [srs_row(view) for view in VIEWS] == [
        ("sip:a", "2", "3", "5/10", "yes", since, "closed", "9 days", ""),
        ("sip:b (drained)", "1", "1", "0", "no", since, "", "expired", "no answer"),
        ("sip:c", "1", "1", "0", "not checked", "-", "closed 1, open 1", "", "503 Full"),
    ]
    assert len(SRS_TITLES) == len(srs_row(VIEWS[0]))


def test_row_of_a_connector_counts_the_living() -> None:
    row = list_row(CONNECTOR, VIEWS)
    assert row == ("main", "sip:a, sip:b, sip:c", "parallel", "yes", "1 of 3")
    assert len(LIST_TITLES) == len(row)
    assert list_row(CONNECTOR, views(CONNECTOR, {}, [], NOW_MS))[-1] == ""


def test_plain_holds_health_and_no_secret() -> None:
    shown = plain(CONNECTOR, VIEWS)
    assert "s3cret" not in str(shown)
    assert shown["name"] == "main"
    assert shown["health"][0] == {
        "uri": "sip:a",
        "reachable": True,
        "text": "200 OK",
        "checked_ms": NOW_MS,
        "since_ms": NOW_MS,
        "answered_ms": NOW_MS,
        "certificate_until_ms": NOW_MS + 9 * DAY_MS,
        "sessions": 5,
        "circuit": "closed",
        "last_failure": None,
    }
    assert shown["health"][1]["circuit"] is None
    assert shown["health"][2]["last_failure"] == "503 Full"
