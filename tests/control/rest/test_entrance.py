"""Who gets in, how often, with how much; and what the log tells of it."""

import base64
import re
from collections.abc import Iterator

import pytest
import requests

from siprec_control.rest.entrance import MAX_BODY_BYTES
from tests.control.rest.conftest import Api
from tests.scenarios.polling import poll
from tests.scenarios.rig import Rig

pytestmark = pytest.mark.daemon

Login = tuple[str, str]


@pytest.fixture(scope="module")
def other(api: Api) -> Login:
    """Give another account."""
    made = api.studio.stack.json("account", "add", "other")
    return made["sid"], made["token"]


def key_of(api: Api, scope: str) -> Login:
    made = api.studio.stack.json("key", "add", scope, "--scope", scope)
    return made["sid"], made["secret"]


@pytest.fixture(scope="module")
def call_sid(api: Api) -> str:
    call = api.studio.call(None)
    sid = call.call().sid
    call.hang_up()
    return sid


def test_nobody_learns_which_accounts_exist(api: Api, other: Login) -> None:
    wrong = [(api.sid, "x"), ("AC" + "0" * 32, "x"), ("SK" + "0" * 32, "x"), ("", ""), ("é", "\0")]
    answers = [api.ask("GET", "Calls.json", auth=auth) for auth in wrong]
    answers.append(requests.get(f"{api.root}/Calls.json", timeout=30))
    answers.append(api.ask("GET", f"{api.base}/nothing", auth=wrong[0]))
    for scheme in ("Bearer x", "Basic ???", "Basic " + base64.b64encode(b"\xff").decode()):
        headers = {"Authorization": scheme}
        answers.append(requests.get(f"{api.root}/Calls.json", headers=headers, timeout=30))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].headers["WWW-Authenticate"] == 'Basic realm="siprec"'


def test_account_sees_its_own_calls_only(api: Api, other: Login, call_sid: str) -> None:
    mine = f"{api.base}/2010-04-01/Accounts/{other[0]}"
    assert api.ask("GET", f"{mine}/Calls.json", auth=other).json()["calls"] == []
    for url in (f"{mine}/Calls/{call_sid}.json", f"{api.root}/Calls/{call_sid}.json"):
        assert api.ask("GET", url, auth=other).status_code == 404
    assert api.ask("POST", f"{mine}/Calls/{call_sid}/Siprec.json", auth=other).status_code == 404
    # Not even who runs the stack acts in another's name.
    assert api.ask("GET", f"{mine}/Calls.json").status_code == 404
    assert api.ask("POST", f"{api.base}/2010-04-01/Accounts.json", auth=other).status_code == 403


def test_number_of_another_account_is_not_taken(api: Api, other: Login) -> None:
    twiml = {"Twiml": "<Response><Reject/></Response>"}
    assert api.ask("POST", "Numbers/+19990001.json", data=twiml).status_code == 200
    theirs = f"{api.base}/2010-04-01/Accounts/{other[0]}/Numbers/+19990001.json"
    assert api.ask("POST", theirs, data=twiml, auth=other).status_code == 400
    assert api.ask("GET", theirs, auth=other).status_code == 404
    assert api.ask("DELETE", theirs, auth=other).status_code == 404
    assert api.ask("DELETE", "Numbers/+19990001.json").status_code == 204
    assert api.ask("GET", "Numbers/+19990001.json").status_code == 404


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [("read", [200, 403, 403]), ("control", [200, 400, 403]), ("admin", [200, 400, 200])],
)
def test_key_does_what_its_scope_says(
    api: Api, call_sid: str, scope: str, statuses: list[int]
) -> None:
    auth = key_of(api, scope)
    asked = [
        api.ask("GET", "Calls.json", auth=auth),
        # The call is over: 400, for who may ask at all.
        api.ask("POST", f"Calls/{call_sid}/Siprec.json", auth=auth),
        api.ask("GET", "Keys.json", auth=auth),
    ]
    assert [answer.status_code for answer in asked] == statuses
    api.studio.stack.cli("key", "delete", auth[0])
    assert api.ask("GET", "Calls.json", auth=auth).status_code == 401


def test_key_made_over_http_works_and_hides_its_secret(api: Api) -> None:
    made = api.ask("POST", "Keys.json", data={"FriendlyName": "robot", "Scope": "read"}).json()
    assert api.ask("GET", "Calls.json", auth=(made["sid"], made["secret"])).status_code == 200
    listed = api.ask("GET", "Keys.json")
    assert made["sid"] in listed.text
    assert made["secret"] not in listed.text
    assert api.ask("DELETE", f"Keys/{made['sid']}.json").status_code == 204


def test_body_is_bounded_and_a_form(api: Api) -> None:
    url = "Keys.json"
    assert api.ask("POST", url, data=b"x" * (MAX_BODY_BYTES + 1)).status_code == 413
    chunks = (b"x" * 65_536 for _ in range(5))
    assert api.ask("POST", url, data=chunks).status_code == 413
    assert api.ask("POST", url, json={"Scope": "read"}).status_code == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"&".join(b"a=1" for _ in range(500)), b"FriendlyName=%ff", b"a=1", b"Scope="):
        assert api.ask("POST", url, data=body, headers=form).status_code == 400


def test_wrong_method_is_told_as_published(api: Api) -> None:
    answer = api.ask("PUT", "Calls.json")
    assert (answer.status_code, answer.json()["code"]) == (405, 20004)


def test_health_and_readiness_need_no_login(api: Api) -> None:
    for path in ("healthz", "readyz"):
        assert requests.get(f"{api.base}/{path}", timeout=30).status_code == 200


def test_log_names_the_request_and_no_secret(api: Api) -> None:
    answer = api.ask("GET", "Calls.json?To=%2B1555777&Secret=hunter2")
    request_id = answer.headers["Twilio-Request-Id"]
    assert re.fullmatch(r"RQ[0-9a-f]{32}", request_id)

    def told() -> str | None:
        lines = api.studio.stack.log.splitlines()
        return next((line for line in lines if request_id in line), None)

    line = poll(told)
    log = api.studio.stack.log
    assert f"{api.sid} GET /2010-04-01/Accounts/{api.sid}/Calls.json 200 " in line
    assert "hunter2" not in log
    assert api.token not in log


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Login]]:
    """Give the API of a stack that lets few requests pass."""
    control = {"requests_per_s": 1, "requests_burst": 3}
    with Rig(tmp_path_factory.mktemp("limited")) as rig:
        stack = rig.stack(settings={"control": control})
        account = stack.json("account", "show", "--token")
        yield f"http://127.0.0.1:{stack.api_port}", (account["sid"], account["token"])


def test_who_asks_too_often_is_told_when_to_come_again(limited: tuple[str, Login]) -> None:
    base, login = limited
    url = f"{base}/2010-04-01/Accounts/{login[0]}/Calls.json"
    answers = [requests.get(url, auth=login, timeout=30) for _ in range(30)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["code"] == 20429
    assert int(refused[0].headers["Retry-After"]) >= 1
    # Who guesses passwords is held up apart, and holds nobody else up.
    wrong = [requests.get(url, auth=(login[0], "x"), timeout=30) for _ in range(30)]
    assert {answer.status_code for answer in wrong} == {401, 429}
