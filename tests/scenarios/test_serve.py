"""`siprec serve` beside a stack that runs: another address, HTTPS, a certificate that changes."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from twilio.rest import Client

from tests.control.processes import Watched
from tests.scenarios.polling import poll
from tests.scenarios.stack import Stack
from tests.scenarios.trial_ca import TrialCa

pytestmark = pytest.mark.daemon

SIPREC = str(Path(sys.executable).with_name("siprec"))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a stack with an API of its own."""
    with Stack(tmp_path_factory.mktemp("serve")) as made:
        yield made


@pytest.fixture
def ca(tmp_path: Path) -> TrialCa:
    """Give an authority with a certificate for loopback."""
    return TrialCa(tmp_path / "ca")


class Served:
    """A `siprec serve` that shows a certificate of its own."""

    def __init__(self, stack: Stack, folder: Path, run: Watched, port: int) -> None:
        self.certificate, self.key = folder / "shown.pem", folder / "shown.key"
        self.url = f"https://127.0.0.1:{port}"
        self.port = port
        self.run = run

    def shown(self) -> str:
        """Give the certificate that a new connection gets to see."""
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=10)


@contextmanager
def served(stack: Stack, ca: TrialCa, folder: Path) -> Iterator[Served]:
    """Serve over HTTPS beside the stack."""
    port = stack.ports.take()
    show(folder, ca, "pem", "key")
    files = ["--tls-cert", str(folder / "shown.pem"), "--tls-key", str(folder / "shown.key")]
    where = ["--listen", f"127.0.0.1:{port}", "--state", str(stack.state)]
    with Watched([SIPREC, "serve", *where, *files]) as run:
        url = f"https://127.0.0.1:{port}/healthz"
        poll(lambda: is_there(url, ca), why=lambda: run.output)
        yield Served(stack, folder, run, port)


def show(folder: Path, ca: TrialCa, *kinds: str) -> None:
    """Put files of an authority in place of those that are shown, each in one step."""
    for kind in kinds:
        fresh = folder / f"fresh.{kind}"
        shutil.copy(ca.file(f"server.{kind}"), fresh)
        fresh.rename(folder / f"shown.{kind}")


def is_there(url: str, ca: TrialCa) -> bool:
    """Tell whether a server of that authority answers."""
    try:
        return requests.get(url, verify=ca.file("ca.pem"), timeout=10).status_code == 200
    except requests.ConnectionError:
        return False


def test_sdk_works_over_https_beside_the_api_of_the_stack(
    stack: Stack, ca: TrialCa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stack.json("account", "show", "--token")
    with served(stack, ca, tmp_path) as serve:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca.file("ca.pem"))
        client = Client(account["sid"], account["token"], account["sid"])
        client.api.base_url = serve.url
        assert client.calls.list() == []
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{serve.url}/healthz", timeout=10)
        assert is_there(f"http://127.0.0.1:{stack.api_port}/healthz", ca)


def test_certificate_is_replaced_while_connections_go_on(
    stack: Stack, ca: TrialCa, tmp_path: Path
) -> None:
    other = TrialCa(tmp_path / "other")
    with served(stack, ca, tmp_path) as serve, requests.Session() as session:
        session.trust_env, session.verify = False, ca.file("ca.pem")
        assert session.get(f"{serve.url}/healthz", timeout=10).status_code == 200
        before = serve.shown()
        # A new certificate with the old key: half of a replacement.
        show(tmp_path, other, "pem")
        serve.run.wait_for("the certificate from before stays")
        assert serve.shown() == before
        show(tmp_path, other, "key")
        serve.run.wait_for("took the certificate")
        assert serve.shown() != before
        assert is_there(f"{serve.url}/healthz", other)
        assert not is_there(f"{serve.url}/healthz", ca)
        assert session.get(f"{serve.url}/healthz", timeout=10).status_code == 200


def test_ctrl_c_ends_it_well(stack: Stack, ca: TrialCa, tmp_path: Path) -> None:
    with served(stack, ca, tmp_path) as serve:
        serve.run.signal(signal.SIGINT)
        assert serve.run.wait_exit() == 0
        assert "Traceback" not in serve.run.output


def test_what_no_call_waits_for_gives_way_to_calls(stack: Stack) -> None:
    def niceness(role: str) -> int:
        return os.getpriority(os.PRIO_PROCESS, stack.pids(role)[0])

    assert niceness("proxy") < niceness("api")
    assert niceness("src") < niceness("callbacks")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--listen", "0.0.0.0:{port}"], "--listen: 0.0.0.0:{port} is not loopback"),
        (["--listen", "localhost:{port}"], "--listen: 'localhost:{port}': localhost is not an IP"),
        (["--listen", "127.0.0.1"], "--listen: '127.0.0.1' has no port"),
        (["--tls-cert", "/nowhere.pem"], "--tls-cert: needs tls_key beside it"),
        ([], "cannot listen: tcp:127.0.0.1:{api}: Address already in use"),
        (
            ["--tls-cert", "/no.pem", "--tls-key", "/no.key"],
            "[control] tls_cert /no.pem, tls_key /no.key: No such file",
        ),
    ],
)
def test_what_cannot_be_served_is_told(stack: Stack, options: list[str], why: str) -> None:
    known = {"port": stack.ports.take(), "api": stack.api_port}
    command = [SIPREC, "serve", "--state", str(stack.state)]
    done = subprocess.run(
        [*command, *(option.format(**known) for option in options)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"siprec: {why.format(**known)}")
