"""The TLS proxies of `siprec run`: fed, killed, started again."""

import os
import signal
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.connector import Connector, Srs, TlsVersion
from siprec.settings import TlsProxy
from siprec.tls_profile import tls_profile
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import WITHIN_S, poll
from tests.scenarios.ports import PortBlock
from tests.scenarios.sip_text import Message
from tests.scenarios.stack import Stack
from tests.scenarios.wire import Address
from tests.tls.certificates import Authority, Identity
from tests.tls.site import SRS, Node, way
from tests.tls.tls_wire import TlsPhone

pytestmark = pytest.mark.daemon

ROLES = ("redis", "rtpengine", "proxy", "src", "tls-src", "tls-ash", "tls-sip", "tls-watch")
EDGE = "127.0.0.3"
SIP = "127.0.0.2"


@pytest.fixture(scope="module")
def callee() -> Iterator[Phone]:
    """Run the gateway."""
    with Phone("callee", ("", 0)) as phone:
        yield phone


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Give the authority of those who may call."""
    return Authority(tmp_path_factory.mktemp("clients"), "clients")


@pytest.fixture(scope="module")
def stack(
    callee: Phone, clients: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Run a stack whose proxy role is not on the address that TLS proxies talk from."""
    folder = tmp_path_factory.mktemp("stack")
    ports = PortBlock()
    sip, sips, src, srcs = (ports.take() for _ in range(4))
    settings: dict[str, dict[str, object]] = {
        "sip": {"listen": [f"udp:{SIP}:{sip}", f"tls:{SIP}:{sips}"]},
        "src": {"listen": [f"udp:127.0.0.1:{src}", f"tls:127.0.0.1:{srcs}"]},
        "edges.ash": {"listen": [f"tls:{EDGE}:{srcs}"], "media": EDGE},
        "tls": {"client_ca": str(clients.certificate)},
    }
    with Stack(folder, settings=settings, gateway_port=callee.wire.address[1]) as stack:
        callee.proxy = _sip(stack, 0)
        yield stack
    ports.close()


def _sip(stack: Stack, index: int) -> Address:
    return SIP, int(stack.runtime.settings.sip.listen[index].rpartition(":")[2])


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    """Make the authority of a recorder."""
    return Authority(tmp_path, "ca")


@pytest.fixture
def srs(ca: Authority) -> Iterator[TlsPhone]:
    """Run a recorder."""
    with TlsPhone("srs", ("", 0), ca.issue(SRS)) as phone:
        yield phone


def _connector(stack: Stack, srs: TlsPhone, ca: Authority, client: Identity | None) -> Connector:
    return Connector(
        account_sid=stack.runtime.settings.account.sid or "",
        name="Secure",
        srs=(Srs(uri=f"sip:127.0.0.1:{srs.tls.address[1]};transport=tls"),),
        tls_ca=ca.certificate.read_text(),
        tls_certificate=client.certificate.read_text() if client else "",
        tls_key=client.key.read_text() if client else "",
    )


def _loaded(stack: Stack) -> list[str]:
    return Path(stack.runtime.tls_loaded).read_text().split()


def _put(stack: Stack, srs: TlsPhone, ca: Authority, client: Identity | None = None) -> str:
    """Set the connector, wait until its profile is loaded; give the profile's name."""
    connector = _connector(stack, srs, ca, client)
    stack.store.put_connector(connector)
    name = tls_profile(connector).name
    poll(lambda: _loaded(stack) == [name])
    return name


def _proxy(stack: Stack, edge: str | None) -> TlsProxy:
    return next(proxy for proxy in stack.runtime.tls_proxies if proxy.edge == edge)


def _probe(proxy: TlsProxy, srs: TlsPhone, profile: str, within_s: float = WITHIN_S) -> Message:
    """Probe the recorder through a TLS proxy; give what is heard of it."""
    host, _, port = proxy.inside.rpartition(":")
    hop = f"127.0.0.1:{srs.tls.address[1]}"
    with Node() as node:
        node.proxy = (host, int(port))
        node.probe(f"<sip:{proxy.inside};lr;hop={hop};profile={profile};host={SRS}>")

        def heard() -> Message | None:
            if request := srs.next(0.01):
                srs.reply(request, 200, "OK")
            return node.next(0.01)

        return poll(heard, within_s)


@pytest.mark.parametrize(("edge", "source"), [(None, "127.0.0.1"), ("ash", EDGE)])
def test_profile_of_a_new_connector_is_known_to_every_proxy(
    stack: Stack, srs: TlsPhone, ca: Authority, edge: str | None, source: str
) -> None:
    profile = _put(stack, srs, ca)
    assert way(_probe(_proxy(stack, edge), srs, profile))
    # Signalling leaves from the named edge.
    assert {peer[0] for peer in srs.tls.peers} == {source}


def test_profile_with_client_certificate_shows_it_and_its_key_is_on_no_disk(
    stack: Stack, ca: Authority, clients: Authority
) -> None:
    client = clients.issue("siprec.example.com")
    with TlsPhone("srs", ("", 0), ca.issue(SRS), trusted=str(clients.certificate)) as srs:
        profile = _put(stack, srs, ca, client)
        assert way(_probe(_proxy(stack, None), srs, profile))
    folder = Path(stack.runtime.tls_loaded).parent
    assert folder.is_relative_to("/dev/shm")
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    # Some line from the middle of the key.
    secret = client.key.read_text().splitlines()[1]
    kept = [path for path in stack.state.rglob("*") if path.is_file()]
    assert not any(secret.encode() in path.read_bytes() for path in kept)
    assert secret not in stack.log


def test_profile_with_a_floor_of_tls_1_3_refuses_1_2(
    stack: Stack, srs: TlsPhone, ca: Authority
) -> None:
    connector = replace(_connector(stack, srs, ca, None), tls_version=TlsVersion.V1_3)
    stack.store.put_connector(connector)
    profile = tls_profile(connector).name
    poll(lambda: _loaded(stack) == [profile])
    assert _probe(_proxy(stack, None), srs, profile).one("X-TLS-Version") == "TLSv1.3"
    with TlsPhone("old", ("", 0), ca.issue(SRS)) as old:
        old.tls.limit(ssl.TLSVersion.TLSv1_2)
        assert _probe(_proxy(stack, None), old, profile).status == 503


def test_connector_taken_away_its_profile_and_files_are_gone(
    stack: Stack, srs: TlsPhone, ca: Authority
) -> None:
    profile = _put(stack, srs, ca)
    folder = Path(stack.runtime.tls_loaded).parent
    assert list(folder.glob(f"{profile}.*"))
    account = stack.runtime.settings.account.sid or ""
    stack.store.delete_connector(account, "Secure")
    poll(lambda: _loaded(stack) == [])
    poll(lambda: not list(folder.glob("*.pem")))
    assert _probe(_proxy(stack, None), srs, profile).status == 503


@pytest.mark.parametrize("victim", ["leader", "child"])
def test_killed_proxy_is_started_again_alone_and_knows_its_profiles(
    stack: Stack, srs: TlsPhone, ca: Authority, victim: str
) -> None:
    profile = _put(stack, srs, ca)
    before = {role: stack.pids(role)[0] for role in ROLES}
    for _ in range(2):
        (leader, *children) = stack.pids("tls-src")
        os.kill(leader if victim == "leader" else children[-1], signal.SIGKILL)
        poll(lambda: stack.pids("tls-src")[:1] not in ([], [leader]))  # noqa: B023
        poll(lambda: _answers(_proxy(stack, None), srs, profile))
    after = {role: stack.pids(role)[0] for role in ROLES}
    assert {role for role in ROLES if before[role] != after[role]} == {"tls-src"}


def _answers(proxy: TlsProxy, srs: TlsPhone, profile: str) -> bool:
    try:
        # What is sent to a proxy that is not there yet is lost, and nobody repeats it.
        return bool(way(_probe(proxy, srs, profile, within_s=1)))
    except AssertionError:
        return False


def test_redis_killed_profiles_stay_and_new_ones_come_after(
    stack: Stack, srs: TlsPhone, ca: Authority
) -> None:
    profile = _put(stack, srs, ca)
    (watch, *_), (redis, *_) = stack.pids("tls-watch"), stack.pids("redis")
    os.kill(redis, signal.SIGKILL)
    assert way(_probe(_proxy(stack, None), srs, profile))
    poll(lambda: stack.pids("redis")[:1] not in ([], [redis]))
    poll(lambda: _is_up(stack))
    other = Authority(ca.certificate.parent, "other")
    assert _put(stack, srs, other) != profile
    assert stack.pids("tls-watch")[0] == watch


def _is_up(stack: Stack) -> bool:
    try:
        return stack.store.numbers("") == []
    except RuntimeError:
        return False


def test_call_over_tls_leaves_from_the_socket_of_the_proxy_role(
    stack: Stack, callee: Phone, clients: Authority
) -> None:
    for ends_by in ("caller", "callee"):
        with TlsPhone("caller", _sip(stack, 1), clients.issue("caller")) as caller:
            caller.invite("+15550100")
            invite, _ = answer(caller, callee)
            assert invite.source == _sip(stack, 0)
            if ends_by == "caller":
                hang_up(caller, callee)
            else:
                hang_up(callee, caller)
    # The caller's Request-URI names the TLS proxy.
    assert "invalid uri" not in stack.log


def test_caller_without_certificate_of_the_authority_is_not_let_in(
    stack: Stack, callee: Phone, ca: Authority
) -> None:
    with TlsPhone("stranger", _sip(stack, 1), ca.issue("stranger")) as stranger:
        with suppress(OSError):
            stranger.invite("+15550100")
        poll(lambda: stranger.next(0.02) or stranger.tls.failures)
        assert stranger.tls.failures
    assert callee.hears_nothing()
