"""A running stack with its API, and Twilio's own SDK pointed at it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from twilio.rest import Client

from tests.scenarios.stack import Settings
from tests.scenarios.studio import Studio

# Twilio's client never closes its session; the sockets go with it.
SETTINGS: Settings = {"control": {"requests_per_s": 1000, "requests_burst": 5000}}


@dataclass(frozen=True)
class Api:
    """The API of a stack, as its default account sees it."""

    studio: Studio
    base: str
    sid: str
    token: str

    @property
    def root(self) -> str:
        """Give the URL of the account."""
        return f"{self.base}/2010-04-01/Accounts/{self.sid}"

    def ask(self, method: str, url: str, **more: Any) -> requests.Response:
        """Send a request as the default account, unless `auth` says who else."""
        more.setdefault("auth", (self.sid, self.token))
        address = url if url.startswith("http") else f"{self.root}/{url}"
        return requests.request(method, address, timeout=30, **more)

    def client(self, name: str | None = None, password: str | None = None) -> Client:
        """Give Twilio's client, unmodified, for us."""
        client = Client(name or self.sid, password or self.token, self.sid)
        client.api.base_url = self.base
        client.monitor.base_url = self.base
        return client


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Give one stack with its API for all tests of this folder."""
    folder: Path = tmp_path_factory.mktemp("api")
    with Studio(folder, settings=SETTINGS) as studio:
        account = studio.stack.json("account", "show", "--token")
        base = f"http://127.0.0.1:{studio.stack.api_port}"
        yield Api(studio, base, account["sid"], account["token"])


@pytest.fixture
def client(api: Api) -> Client:
    """Give Twilio's client as the default account."""
    return api.client()
