"""A stack with its console, and Chromium."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

from tests.control.rest.conftest import SETTINGS, Api
from tests.scenarios.studio import Studio

WITHIN_MS = 30_000


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Give one stack with its console."""
    with Studio(tmp_path_factory.mktemp("console"), settings=SETTINGS) as studio:
        account = studio.stack.json("account", "show", "--token")
        base = f"http://127.0.0.1:{studio.stack.api_port}"
        yield Api(studio, base, account["sid"], account["token"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give Debian's Chromium."""
    more = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=more)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, api: Api) -> Iterator[Page]:
    """Give a page of its own, which must see no error but refusals of the server."""
    context = browser.new_context(base_url=api.base)
    context.set_default_timeout(WITHIN_MS)
    found = context.new_page()
    errors: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error" and "the server responded with a status of" not in message.text:
            errors.append(message.text)

    def thrown(error: Error) -> None:
        errors.append(str(error))

    found.on("console", heard)
    found.on("pageerror", thrown)
    yield found
    context.close()
    assert errors == []
