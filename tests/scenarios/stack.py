"""A whole stack, started as an operator starts it: `siprec run --config F --state DIR`."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from redis import Redis

from siprec.record import from_json
from siprec.redis_acl import RedisUser
from siprec.settings import LogLevel, Runtime
from siprec.store import Store
from siprec.vault import Vault
from siprec_control.logs import level_of
from siprec_control.redis_users import resolve_passwords, socket_url
from siprec_control.state import StateFolder
from tests.scenarios.polling import poll
from tests.scenarios.ports import PortBlock
from tests.scenarios.processes import (
    command_line,
    descendants,
    is_alive,
    parent_of,
    udp_ports_of,
)

Settings = Mapping[str, Mapping[str, object]]

_READY_S = 30.0
# Listening sockets of the stack, and of endpoints that take theirs from its block.
_OTHER_PORTS = 80
# An end within 5 s is promised; a loaded machine gets as much again.
_STOP_S = 10.0
_SIPREC = str(Path(sys.executable).with_name("siprec"))
_ROLES = {
    "redis": "redis-server ",
    "rtpengine": "rtpengine ",
    "tls-watch": "siprec_control.tls_watch ",
    "callbacks": "siprec_control.callbacks ",
    "api": "siprec_control.rest ",
}


class Stack:
    """A running stack on ports of its own. Use it with `with`, or call `stop`.

    `settings` are sections of siprec.toml over what the stack sets itself: the ports, and the
    gateway at `gateway_port` on 127.0.0.1. With `ipv6` both roles are on ::1, too. `sip_port`
    and `src_port` listen on UDP and TCP; with `tls` there are TLS proxies at `sip_tls_port` and
    `src_tls_port` of 127.0.0.1. Of our own variables it gets those of `environment` only.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Settings | None = None,
        gateway_port: int | None = None,
        rtp_ports: int = 400,
        ipv6: bool = False,
        tls: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._settings = settings or {}
        self.ports = PortBlock(rtp_ports + _OTHER_PORTS)
        self.sip_port = self.ports.take()
        self.src_port = self.ports.take()
        self.sip_tls_port = self.ports.take() if tls else None
        self.src_tls_port = self.ports.take() if tls else None
        self.gateway_port = self.ports.take() if gateway_port is None else gateway_port
        self.api_port = self.ports.take()
        self.rtp_min, self.rtp_max = self.ports.take_range(rtp_ports)
        self.config = folder / "siprec.toml"
        self.state = folder / "state"
        folder.mkdir(parents=True, exist_ok=True)
        self._hosts = ("127.0.0.1", "[::1]") if ipv6 else ("127.0.0.1",)
        self.config.write_text(_toml(self._sections(settings or {})))
        self._log_path = folder / "run.log"
        self._store: Store | None = None
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [_SIPREC, "run", *self._where],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment() | dict(environment or {}),
                start_new_session=True,
            )
        try:
            poll(self._is_ready, _READY_S, why=lambda: f"stack not ready:\n{self.log}")
        except BaseException:
            self.end()
            raise

    def _sections(self, settings: Settings) -> dict[str, dict[str, object]]:
        sections: dict[str, dict[str, object]] = {
            "sip": {"listen": self._listen(self.sip_port, self.sip_tls_port)},
            "src": {"listen": self._listen(self.src_port, self.src_tls_port)},
            "routing": {"gateway": f"sip:127.0.0.1:{self.gateway_port}"},
            "rtpengine": {"port_min": self.rtp_min, "port_max": self.rtp_max},
            # A test machine can be busy for longer than a call should wait.
            "redis": {"lookup_ms": 5_000},
            "control": {"listen": f"127.0.0.1:{self.api_port}"},
        }
        for name, section in settings.items():
            merged = sections.get(name, {}) | dict(section)
            sections[name] = {key: value for key, value in merged.items() if value is not None}
        return sections

    def _listen(self, port: int, tls_port: int | None) -> list[str]:
        plain = [f"{kind}:{host}:{port}" for host in self._hosts for kind in ("udp", "tcp")]
        return [*plain, f"tls:127.0.0.1:{tls_port}"] if tls_port is not None else plain

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, f"siprec run has ended:\n{self.log}"
        return any(line.startswith("ready ") for line in self.log.splitlines())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.end()

    # What it says and keeps

    @property
    def proxy(self) -> str:
        """Give `host:port` of the proxy role."""
        return f"127.0.0.1:{self.sip_port}"

    @property
    def log(self) -> str:
        """Give all that the stack has written so far."""
        return self._log_path.read_text(errors="replace")

    def errors(self) -> list[str]:
        """List the log lines at level ERROR or above, of every process of the stack."""
        return [line for line in self.log.splitlines() if _is_error(line)]

    @property
    def runtime(self) -> Runtime:
        """Give the settings with nothing left open: Redis URL, NG address, account."""
        return from_json(Runtime, (self.state / "runtime.json").read_bytes())

    @property
    def store(self) -> Store:
        """Give the store, opened at first use and closed with the stack."""
        if self._store is None:
            runtime = self.runtime
            redis = runtime.settings.redis
            assert redis.url
            self._store = Store.connect(redis.url, redis.prefix, Vault.from_runtime(runtime))
        return self._store

    @property
    def ng(self) -> tuple[str, int]:
        """Give the address of the (first) rtpengine."""
        host, _, port = self.runtime.settings.rtpengine.ng[0].rpartition(":")
        return host, int(port)

    def redis_url(self, user: RedisUser) -> str:
        """Give the URL at which a user finds the embedded Redis."""
        socket = Path(unquote(urlsplit(self.runtime.settings.redis.url or "").path))
        return socket_url(socket, user, resolve_passwords(StateFolder(self.state)))

    def redis_keys(self, pattern: str) -> list[str]:
        """List the keys in Redis whose name matches."""
        with Redis.from_url(self.redis_url(RedisUser.ADMIN), decode_responses=True) as redis:
            return sorted(str(key) for key in redis.scan_iter(pattern, count=1000))

    def denials(self) -> list[str]:
        """List what the embedded Redis refused its users: who it was, and what."""
        if "redis" in self._settings and "url" in self._settings["redis"]:
            return []
        with Redis.from_url(self.redis_url(RedisUser.ADMIN), decode_responses=True) as redis:
            log: Any = redis.acl_log()
        return [f"{each['username']}: {each['reason']} {each['object']}" for each in log]

    def rtp_ports_in_use(self) -> list[int]:
        """List the ports of the media relay's range that the first rtpengine holds."""
        ports = range(self.rtp_min, self.rtp_max + 1)
        (rtpengine, *_) = self.pids("rtpengine")
        return sorted(port for port in udp_ports_of(rtpengine) if port in ports)

    # What people do with it

    @property
    def _where(self) -> list[str]:
        return ["--config", str(self.config), "--state", str(self.state)]

    def cli(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run `siprec WORDS…` on this stack; `code` is the exit code it must have, if any."""
        done = subprocess.run(
            [_SIPREC, *words, *self._where],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code is None or done.returncode == code, f"{words}: {done}"
        return done

    def json(self, *words: str) -> Any:
        """Run `siprec WORDS… --json`, which must succeed, and give what it printed."""
        return json.loads(self.cli(*words, "--json").stdout)

    def set_number(self, pattern: str, *verbs: str) -> None:
        """Let a number follow `<Response>VERBS</Response>`."""
        document = self.folder / f"document-{len(list(self.folder.glob('document-*')))}.xml"
        document.write_text(f"<Response>{''.join(verbs)}</Response>", encoding="utf-8")
        self.cli("number", "set", pattern, "--twiml", str(document))

    # Its processes

    def pids(self, role: str) -> list[int]:
        """List the processes of a program, as its log lines name it, the leader first."""
        mark = _ROLES.get(role, f"/{role}/kamailio.pid")
        for pid in sorted(descendants(self._process.pid)):
            if parent_of(pid) == self._process.pid and mark in command_line(pid):
                return [pid, *sorted(descendants(pid))]
        return []

    def stop(self) -> None:
        """End the stack as an operator does: exit 0, in time, and nothing is left."""
        if self._process.poll() is not None and self._process.returncode == 0:
            self.end()
            return
        below = descendants(self._process.pid)
        denials = self.denials()
        try:
            self._process.send_signal(signal.SIGTERM)
            code = self._process.wait(_STOP_S)
            assert code == 0, f"siprec run ended with {code}:\n{self.log}"
            left = [f"{pid} {command_line(pid)}" for pid in below if is_alive(pid)]
            assert not left, f"left behind: {left}"
            assert not denials, f"Redis refused: {denials}"
        finally:
            self.end()

    def end(self) -> None:
        """End whatever still runs, without judging it. May be called again."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._process.poll() is None:
            below = descendants(self._process.pid)
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_STOP_S)
                for pid in filter(is_alive, below):
                    os.kill(pid, signal.SIGKILL)
        self.ports.close()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SIPREC_")}


# What Kamailio says when a peer, a recorder that is checked, say, is not there.
_PEER_IS_GONE = re.compile(
    r"tcpconn_1st_send\(\): .*failed|msg_send_buffer\(\): tcp_send failed"
    r"|Attempt to send to precreated request failed"
)
# PRACK of a re-INVITE: Kamailio's dialog module knows it before the answer only, and does no harm.
_PRACK_IN_CALL = re.compile(r"next_state_dlg\(\): bogus event 5 in state 4")


def _is_error(line: str) -> bool:
    process, bar, message = line.partition("|")
    if process.strip() == "src" and _PEER_IS_GONE.search(message):
        return False
    if process.strip() == "proxy" and _PRACK_IN_CALL.search(message):
        return False
    if not bar:
        return line.startswith(("Traceback", "siprec:"))
    return level_of(process.strip(), message.strip()) is LogLevel.ERROR


def _toml(sections: Mapping[str, Mapping[str, object]]) -> str:
    lines: list[str] = []
    for name, section in sections.items():
        lines.append(f"[{name}]")
        # Strings, numbers, booleans and lists of these are the same in TOML as in JSON.
        lines += [f"{key} = {json.dumps(value)}" for key, value in section.items()]
    return "\n".join([*lines, ""])
