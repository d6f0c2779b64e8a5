"""`siprec run` with Redis and rtpengine of its own, up to where Kamailio would start."""

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.settings import ProxySettings, Runtime, Settings
from siprec_control.commands.run import ready_line, without_unused
from siprec_control.ports import free_udp_port
from siprec_control.runtime import resolve
from siprec_control.state import StateFolder, locked, state_folder
from tests.control.processes import Watched

pytestmark = pytest.mark.daemon


class Site:
    """A settings file on free ports, a state folder, and a project folder without Kamailio."""

    def __init__(self, folder: Path) -> None:
        home = Path(__file__).parents[2]
        self.sip, self.src = free_udp_port("127.0.0.1"), free_udp_port("127.0.0.1")
        media = min(free_udp_port("127.0.0.1"), 65_000)
        self.state = folder / "state"
        self.config = folder / "siprec.toml"
        self.config.write_text(
            f'[sip]\nlisten = ["udp:127.0.0.1:{self.sip}"]\n'
            f'[src]\nlisten = ["udp:127.0.0.1:{self.src}"]\n'
            f'[control]\nlisten = "127.0.0.1:{free_udp_port("127.0.0.1")}"\n'
            f"[rtpengine]\nport_min = {media}\nport_max = {media + 98}\n"
        )
        # Kamailio refuses this file, so it dies, as with any fatal mistake in it.
        self.home = folder / "home"
        (self.home / "rtpengine").mkdir(parents=True)
        (self.home / "kamailio.cfg").write_text("nonsense\n")
        conf = (home / "rtpengine" / "rtpengine.conf").read_text()
        (self.home / "rtpengine" / "rtpengine.conf").write_text(conf)

    def run(self) -> Watched:
        command = [sys.executable, "-m", "siprec_control.cli", "run"]
        options = ["--config", str(self.config), "--state", str(self.state)]
        return Watched([*command, *options], {"SIPREC_HOME": str(self.home)})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_kamailio_that_cannot_start_ends_the_run_and_leaves_nothing(site: Site) -> None:
    with site.run() as run:
        assert run.wait_exit() == 1
        assert "redis     | " in run.output
        assert "died (exit 255); restart 1 in 0.2 s" in run.output
        last = run.output.splitlines()[-1]
        assert last.startswith("siprec: ")
        assert "died 3 times within a minute, last with exit 255" in last
    assert not (site.state / "runtime.json").exists()
    kept = {path.name for path in site.state.iterdir()}
    users = {"redis-passwords.json", "redis-users.acl"}
    assert kept == {"account.json", "lock", "redis", "route_key", "secret.key"} | users


def test_taken_port_is_named_before_anything_starts(site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", site.src))
        with site.run() as run:
            assert run.wait_exit() == 1
    place = f"[src] listen udp:127.0.0.1:{site.src}"
    assert run.output == f"siprec: cannot listen: {place}: Address already in use\n"


def test_state_folder_of_another_run_is_refused(site: Site) -> None:
    with locked(state_folder(str(site.state))), site.run() as run:
        assert run.wait_exit() == 1
    assert f"siprec: state {site.state} is in use by process " in run.output


def test_wrong_setting_is_explained(site: Site) -> None:
    site.config.write_text("[sip]\nlisen = 1\n")
    with site.run() as run:
        assert run.wait_exit() == 1
    why = f"{site.config}:2: [sip] lisen: unknown key (did you mean listen?)"
    assert run.output == f"siprec: {why}\n"


def test_folder_without_the_project_is_explained(site: Site) -> None:
    (site.home / "kamailio.cfg").unlink()
    with site.run() as run:
        assert run.wait_exit() == 1
    assert run.output.startswith(f"siprec: no kamailio.cfg in {site.home}")


def test_json_log_is_one_object_a_line(site: Site) -> None:
    with site.config.open("a") as file:
        file.write('[log]\nformat = "json"\n')
    with site.run() as run:
        assert run.wait_exit() == 1
    *lines, last = run.output.splitlines()
    assert all(line.startswith('{"time": "') for line in lines)
    assert last.startswith("siprec: ")


def test_ready_line_names_every_address_but_no_password(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    plan = resolve(Settings(), state)
    line = ready_line(plan.runtime, state)
    state.remove_folders()
    assert line.startswith("ready sip=udp:127.0.0.1:5060,tcp:127.0.0.1:5060 src=udp:")
    assert line.endswith(f" state={tmp_path}")
    for url in ("redis://:pw@h:1/0", "redis://u:p@w@h/0", "rediss://u:pw@h/0"):
        assert "p" not in ready_line(with_redis(plan.runtime, url), state).split("//")[1].split()[0]


def test_sockets_of_a_proxy_role_that_does_not_run_are_not_taken(tmp_path: Path) -> None:
    settings = replace(Settings(), proxy=ProxySettings(enabled=False))
    assert without_unused(Settings()) == Settings()
    assert without_unused(settings).sip.listen == ()
    state = StateFolder(tmp_path)
    line = ready_line(resolve(without_unused(settings), state).runtime, state)
    state.remove_folders()
    assert line.startswith("ready src=udp:")


def with_redis(runtime: Runtime, url: str) -> Runtime:
    settings = runtime.settings
    return replace(runtime, settings=replace(settings, redis=replace(settings.redis, url=url)))
