"""What an account sets over REST: connectors, numbers, accounts; and the edges there are."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from twilio.rest import Client

from siprec.connector import Connector, Delivery, Digits, Srs
from tests.control.rest.conftest import Api
from tests.scenarios.polling import poll
from tests.scenarios.trial_ca import TrialCa

pytestmark = pytest.mark.daemon

SECRET = "s3cret-of-the-recorder"
SRS = "sip:rec@127.0.0.1:9;transport=tcp"
_NAMES = count(1)
Login = tuple[str, str]


@pytest.fixture
def name() -> str:
    """Give a name that no other test uses."""
    return f"Set by REST {next(_NAMES)}"


@pytest.fixture
def other(api: Api) -> Iterator[Login]:
    """Give the login of another account."""
    made = api.studio.stack.json("account", "add", "other")
    yield made["sid"], made["token"]
    api.studio.stack.cli("account", "delete", made["sid"])


def url_of(api: Api, login: Login) -> str:
    return f"{api.base}/2010-04-01/Accounts/{login[0]}"


def stored(api: Api, name: str) -> Connector:
    """Give a connector as it is kept, with its secrets."""
    connector = api.studio.stack.store.connector(api.sid, name)
    assert connector is not None
    return connector


# Connectors


def test_connector_is_made_changed_and_deleted(api: Api, name: str) -> None:
    url = f"Connectors/{name}.json"
    assert api.ask("GET", url).status_code == 404
    form = {
        "Srs1.Uri": "sip:a@127.0.0.1:9;transport=tcp",
        "Srs2.Uri": "sip:b@127.0.0.1:9;transport=tcp",
        "Srs2.Priority": "2",
        "Srs2.MaxSessions": "7",
        "Srs2.Drained": "true",
        "Header1.Name": "X-Site",
        "Header1.Value": "north",
        "Delivery": "parallel",
        "Codecs": "PCMA, PCMU",
        "AnswerS": "7",
        "OptionsS": "0",
        "EarlyMedia": "true",
        "DigestUser": "rec",
        "DigestPassword": SECRET,
    }
    refused = api.ask("POST", url, data=form)
    # Whoever transcodes keeps digits: fields are held against each other, too.
    assert (refused.status_code, "Codecs" in refused.json()["message"]) == (400, True)
    made = api.ask("POST", url, data={**form, "Digits": "keep"})
    assert made.status_code == 200, made.text
    connector = stored(api, name)
    assert connector == Connector(
        account_sid=api.sid,
        name=name,
        srs=(
            Srs(uri=form["Srs1.Uri"]),
            Srs(uri=form["Srs2.Uri"], priority=2, max_sessions=7, drained=True),
        ),
        delivery=Delivery.PARALLEL,
        headers=(("X-Site", "north"),),
        codecs=("PCMA", "PCMU"),
        digits=Digits.KEEP,
        answer_s=7,
        options_s=0,
        early_media=True,
        digest_user="rec",
        digest_password=SECRET,
    )
    shown = made.json()
    assert (shown["has_digest_password"], shown["has_tls_key"]) == (True, False)
    assert [each["uri"] for each in shown["srs"]] == [srs.uri for srs in connector.srs]
    assert api.ask("GET", url).json() == shown
    assert shown in api.ask("GET", "Connectors.json").json()["connectors"]
    # What is not sent stays; what is empty goes back to its default.
    changed = api.ask("POST", url, data={"AnswerS": "", "Header1.Name": "", "EarlyMedia": "false"})
    assert changed.status_code == 200, changed.text
    after = stored(api, name)
    assert (after.answer_s, after.headers, after.early_media) == (10, (), False)
    assert (after.srs, after.digest_password) == (connector.srs, SECRET)
    assert api.ask("DELETE", url).status_code == 204
    assert api.ask("DELETE", url).status_code == 404


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "Srs1.Uri"),
        ({"Srs1.Uri": "http://h"}, "Srs1.Uri"),
        ({"Srs1.Priority": "1"}, "Srs1.Uri"),
        ({"Srs1.Uri": SRS, "Srs3.Uri": "sip:i"}, "Srs2"),
        ({"Srs17.Uri": SRS}, "Srs17"),
        ({"Srs1.Uri": SRS, "Srs1.Weight": "much"}, "Srs1.Weight"),
        ({"Srs1.Uri": SRS, "Srs1.MaxSessions": "0"}, "Srs1.MaxSessions"),
        ({"Srs1.Uri": SRS, "Srs1.Drained": "perhaps"}, "Srs1.Drained"),
        ({"Srs1.Uri": SRS, "Srs1.Colour": "red"}, "Srs1.Colour"),
        ({"Srs1.Uri": SRS, "Colour": "red"}, "Colour"),
        ({"Srs1.Uri": SRS, "Delivery": "pigeon"}, "Delivery"),
        ({"Srs1.Uri": SRS, "AnswerS": "soon"}, "AnswerS"),
        ({"Srs1.Uri": SRS, "AnswerS": "999"}, "AnswerS"),
        ({"Srs1.Uri": SRS, "EarlyMedia": "yes"}, "EarlyMedia"),
        ({"Srs1.Uri": SRS, "Header1.Name": "Via", "Header1.Value": "x"}, "Header1.Name"),
        ({"Srs1.Uri": SRS, "DigestUser": "rec"}, "DigestPassword"),
        ({"Srs1.Uri": SRS, "DigestUser": "r", "DigestPassword": f"{SECRET}\n"}, "DigestPassword"),
        ({"Srs1.Uri": SRS, "TlsKey": SECRET}, "Tls"),
    ],
)
def test_connector_that_cannot_be_is_refused_by_the_name_of_the_field(
    api: Api, name: str, form: dict[str, str], field: str
) -> None:
    answer = api.ask("POST", f"Connectors/{name}.json", data=form)
    assert answer.status_code == 400
    assert field in answer.json()["message"]
    assert SECRET not in answer.text
    assert api.ask("GET", f"Connectors/{name}.json").status_code == 404


def test_secret_of_a_connector_is_in_no_answer_and_in_no_log(api: Api, name: str) -> None:
    url = f"Connectors/{name}.json"
    form = {"Srs1.Uri": SRS, "OptionsS": "0"}
    secret = {"CredentialHeader": "X-Key", "CredentialValue": SECRET}
    answers = [
        api.ask("POST", url, data={**form, **secret}),
        api.ask("GET", url),
        api.ask("GET", "Connectors.json"),
        api.ask("POST", url, data={"AnswerS": "8"}),
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert stored(api, name).credential_value == SECRET
    forgotten = api.ask("POST", url, data={"CredentialHeader": "", "CredentialValue": ""})
    assert forgotten.json()["has_credential_value"] is False
    assert [answer.url for answer in (*answers, forgotten) if SECRET in answer.text] == []
    assert SECRET not in api.studio.stack.log
    api.ask("DELETE", url)


def test_connector_whose_certificate_ends_soon_is_stored_with_a_warning(
    api: Api, name: str, tmp_path: Path
) -> None:
    ca = Path(TrialCa(tmp_path / "ca", "--days", "20").file("ca.pem")).read_text()
    form = {"Srs1.Uri": "sips:srs.example", "OptionsS": "0", "TlsCa": ca}
    url = f"Connectors/{name}.json"
    (warning,) = api.ask("POST", url, data=form).json()["warnings"]
    assert warning.startswith("tls_ca: ")
    assert " expires on " in warning
    assert api.ask("GET", url).json()["warnings"] == [warning]
    api.ask("DELETE", url)


def test_health_of_a_recorder_is_shown(api: Api, name: str) -> None:
    url = f"Connectors/{name}.json"
    uri = f"sip:rec@127.0.0.1:{api.studio.stack.ports.take()};transport=tcp"
    assert api.ask("POST", url, data={"Srs1.Uri": uri}).status_code == 200

    def is_known() -> bool:
        (srs,) = api.ask("GET", url).json()["srs"]
        return srs["reachable"] is False and bool(srs["last_failure"]) and bool(srs["date_checked"])

    poll(is_known, 30, why=lambda: api.ask("GET", url).text)
    api.ask("DELETE", url)


def test_connectors_are_of_their_account_and_need_the_scope(
    api: Api, name: str, other: Login
) -> None:
    form = {"Srs1.Uri": SRS, "OptionsS": "0"}
    assert api.ask("POST", f"Connectors/{name}.json", data=form).status_code == 200
    theirs = f"{url_of(api, other)}/Connectors"
    assert api.ask("GET", f"{theirs}/{name}.json", auth=other).status_code == 404
    assert api.ask("GET", f"{theirs}.json", auth=other).json()["connectors"] == []
    assert api.ask("GET", f"Connectors/{name}.json", auth=other).status_code == 404
    key = api.studio.stack.json("key", "add", "looks", "--scope", "control")
    login = (key["sid"], key["secret"])
    assert api.ask("GET", f"Connectors/{name}.json", auth=login).status_code == 200
    assert api.ask("POST", f"Connectors/{name}.json", data=form, auth=login).status_code == 403
    assert api.ask("DELETE", f"Connectors/{name}.json", auth=login).status_code == 403
    api.ask("DELETE", f"Connectors/{name}.json")


# Numbers


def test_number_follows_a_document_of_the_web(api: Api) -> None:
    form = {
        "Url": "https://example.com/voice",
        "Method": "GET",
        "FallbackUrl": "https://example.com/other",
        "Twiml": "<Response><Hangup/></Response>",
    }
    made = api.ask("POST", "Numbers/+19990002.json", data=form)
    assert made.status_code == 200, made.text
    number = api.studio.stack.store.number("+19990002")
    assert number is not None
    assert [(s.url, s.method.value) for s in number.sources] == [
        ("https://example.com/voice", "GET"),
        ("https://example.com/other", "POST"),
    ]
    assert number.program
    shown = api.ask("GET", "Numbers/+19990002.json").json()
    assert shown == made.json()
    assert (shown["url"], shown["fallback_method"]) == ("https://example.com/voice", "POST")
    assert api.ask("DELETE", "Numbers/+19990002.json").status_code == 204


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "Twiml"),
        ({"Url": "ftp://h/"}, "Url"),
        ({"Url": "http://h/", "Method": "PUT"}, "Method"),
        ({"Twiml": "<Response/>", "FallbackUrl": "http://h/"}, "FallbackUrl"),
        ({"Twiml": "<Response/>", "FallbackMethod": "GET"}, "FallbackUrl"),
        ({"Url": "http://h/", "Twiml": "<Respond/>"}, "Twiml"),
    ],
)
def test_number_that_cannot_be_is_refused_by_the_name_of_the_field(
    api: Api, form: dict[str, str], field: str
) -> None:
    answer = api.ask("POST", "Numbers/+19990003.json", data=form)
    assert (answer.status_code, field in answer.json()["message"]) == (400, True), answer.text
    assert api.ask("GET", "Numbers/+19990003.json").status_code == 404


# Accounts and edges


def test_sdk_fetches_changes_and_closes_accounts(api: Api, client: Client) -> None:
    made = client.api.accounts.create(friendly_name="branch")
    assert client.api.accounts(made.sid).fetch().friendly_name == "branch"
    assert client.api.accounts(made.sid).update(friendly_name="twig").friendly_name == "twig"
    assert made.sid in [each.sid for each in client.api.accounts.list()]
    assert client.api.accounts(made.sid).update(status="closed").status == "closed"
    assert made.sid not in [each.sid for each in client.api.accounts.list()]


def test_account_says_where_its_alerts_are_told(api: Api, other: Login) -> None:
    url = f"{url_of(api, other)}.json"
    form = {"DebuggerUrl": "https://example.com/alerts", "DebuggerMethod": "GET"}
    shown = api.ask("POST", url, data=form, auth=other).json()
    assert (shown["debugger_url"], shown["debugger_method"]) == (form["DebuggerUrl"], "GET")
    assert api.ask("GET", url, auth=other).json() == shown
    for wrong in ({"DebuggerUrl": "gopher://h"}, {"DebuggerMethod": "PUT"}, {"Status": "asleep"}):
        answer = api.ask("POST", url, data=wrong, auth=other)
        assert (answer.status_code, next(iter(wrong)) in answer.json()["message"]) == (400, True)
    assert api.ask("POST", url, data={"DebuggerUrl": ""}, auth=other).json()["debugger_url"] is None


def test_accounts_see_themselves_and_only_the_default_one_sees_and_closes_others(
    api: Api, other: Login
) -> None:
    mine, theirs = f"{api.root}.json", f"{url_of(api, other)}.json"
    assert api.ask("GET", theirs).status_code == 200
    assert api.ask("GET", theirs, auth=other).status_code == 200
    assert api.ask("GET", mine, auth=other).status_code == 404
    assert api.ask("DELETE", theirs, auth=other).status_code == 403
    assert api.ask("DELETE", mine).status_code == 400
    number = f"{url_of(api, other)}/Numbers/+19990004.json"
    twiml = {"Twiml": "<Response><Hangup/></Response>"}
    assert api.ask("POST", number, data=twiml, auth=other).status_code == 200
    refused = api.ask("DELETE", theirs)
    assert (refused.status_code, "owns 1 numbers" in refused.text) == (400, True)
    assert api.ask("DELETE", number, auth=other).status_code == 204


def test_edges_tell_what_recorders_must_allow(api: Api) -> None:
    edges = api.ask("GET", "Edges.json").json()["edges"]
    assert {edge["purpose"] for edge in edges} >= {"sip", "rtp"}
