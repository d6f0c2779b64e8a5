"""The console in a browser: signing in, live calls, and who is kept out."""

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from siprec.model import StreamState
from tests.console.conftest import WITHIN_MS
from tests.control.rest.conftest import Api

pytestmark = pytest.mark.daemon

expect.set_options(timeout=WITHIN_MS)
_FROM_PAGE = {"X-Siprec-Console": "page"}


def sign_in(page: Page, sid: str, token: str) -> None:
    page.goto("/console/")
    page.get_by_label("Account or key").fill(sid)
    page.get_by_label("Token or secret").fill(token)
    page.get_by_role("button", name="Sign in").click()


def signed_in(api: Api, sid: str, token: str) -> requests.Session:
    """Sign in as the page does; the session has the CSRF token on it."""
    session = requests.Session()
    session.headers.update(_FROM_PAGE)
    form = {"Sid": sid, "Token": token}
    answer = session.post(f"{api.base}/console/sign-in", data=form, timeout=30)
    assert answer.status_code == 200
    session.headers["X-CSRF-Token"] = answer.json()["csrf"]
    return session


def test_stream_is_started_paused_resumed_and_stopped_from_the_page(api: Api, page: Page) -> None:
    sign_in(page, api.sid, api.token)
    expect(page.get_by_role("heading", name="Calls")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    call = api.studio.call(None)
    number = call.call().number
    page.get_by_role("button", name=number).click()
    page.get_by_label("Name").fill("by hand")
    page.get_by_role("button", name="Start recording").click()
    stream = call.recording("by hand")
    state = page.locator(f"[data-sid={stream.sid}] .state")
    expect(state).to_have_text("recording")
    api.studio.hear(stream, 0.3)
    page.get_by_role("button", name="Pause by hand").click()
    call.stream("by hand", StreamState.PAUSED)
    expect(state).to_have_text("paused")
    page.get_by_role("button", name="Resume by hand").click()
    call.recording("by hand")
    expect(state).to_have_text("recording")
    page.get_by_role("button", name="Stop by hand").click()
    over = call.stream("by hand", StreamState.STOPPED)
    expect(state).to_have_text("stopped")
    session = api.studio.over(over)
    assert (session.ended_by, session.problems) == ("src-bye", [])
    call.hang_up()
    expect(page.get_by_role("button", name=number)).to_have_count(0)


def test_refused_start_says_why(api: Api, page: Page) -> None:
    call = api.studio.call(None)
    number = call.call().number
    sign_in(page, api.sid, api.token)
    page.get_by_role("button", name=number).click()
    page.get_by_label("Connector").fill("nowhere")
    page.get_by_role("button", name="Start recording").click()
    expect(page.get_by_role("alert")).to_contain_text("nowhere")
    call.hang_up()


def test_wrong_token_is_told_in_the_page(api: Api, page: Page) -> None:
    for sid in (api.sid, "AC" + "0" * 32):
        sign_in(page, sid, "wrong")
        expect(page.get_by_role("alert")).to_have_text("These do not fit each other.")


def test_key_that_may_only_look_sees_no_buttons(api: Api, page: Page) -> None:
    made = api.studio.stack.json("key", "add", "looks", "--scope", "read")
    call = api.studio.call(None)
    number = call.call().number
    sign_in(page, made["sid"], made["secret"])
    page.get_by_role("button", name=number).click()
    expect(page.get_by_role("heading", name=number)).to_be_visible()
    expect(page.get_by_role("button", name="Start recording")).to_have_count(0)
    call.hang_up()
    # With the key its sessions go.
    api.studio.stack.cli("key", "delete", made["sid"])
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("session is over")


def test_signing_out_ends_the_session(api: Api, page: Page) -> None:
    sign_in(page, api.sid, api.token)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    cookies = {each["name"]: each for each in page.context.cookies()}
    cookie = cookies["siprec"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    kept = {"siprec": cookie["value"]}
    answer = requests.get(f"{api.base}/console/session", cookies=kept, timeout=30)
    assert answer.status_code == 401


def test_session_needs_the_csrf_token_for_what_changes(api: Api) -> None:
    session = signed_in(api, api.sid, api.token)
    url = f"{api.root}/Keys.json"
    form = {"FriendlyName": "forged", "Scope": "read"}
    for wrong in ("", "0" * 32):
        answer = session.post(url, data=form, headers={"X-CSRF-Token": wrong}, timeout=30)
        assert answer.status_code == 403
    assert "forged" not in session.get(url, timeout=30).text
    assert session.post(url, data=form, timeout=30).status_code == 201
    # Another site cannot sign somebody in as itself either: it cannot send the header.
    credentials = {"Sid": api.sid, "Token": api.token}
    answer = requests.post(f"{api.base}/console/sign-in", data=credentials, timeout=30)
    assert answer.status_code == 403


def test_page_is_never_asked_for_a_password_by_the_browser(api: Api) -> None:
    refused = requests.get(f"{api.root}/Calls.json", headers=_FROM_PAGE, timeout=30)
    assert refused.status_code == 401
    assert "WWW-Authenticate" not in refused.headers
    assert requests.get(f"{api.base}/console/live", timeout=30).status_code == 401
    policy = requests.get(f"{api.base}/console/", timeout=30).headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(api: Api, browser: Browser, scheme: str) -> None:
    call = api.studio.call(None)
    number = call.call().number
    context = browser.new_context(
        base_url=api.base, bypass_csp=True, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.goto("/console/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
    sign_in(page, api.sid, api.token)
    page.get_by_role("button", name=number).click()
    page.get_by_role("button", name="Start recording").click()
    expect(page.locator(".state")).to_have_text("recording")
    assert Axe().run(page).response["violations"] == []
    context.close()
    call.hang_up()
