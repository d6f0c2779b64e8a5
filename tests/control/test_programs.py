"""Command lines of the children."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.settings import (
    EdgeSettings,
    LogLevel,
    LogSettings,
    ProxySettings,
    RtpengineSettings,
    Runtime,
    Settings,
    SipSettings,
)
from siprec_control.layout import Layout
from siprec_control.programs import (
    Role,
    interfaces,
    kamailio_command,
    programs,
    redis_command,
    rtpengine_command,
    tls_programs,
)
from siprec_control.runtime import resolve
from siprec_control.state import StateFolder

LAYOUT = Layout(home=Path("/opt/siprec"), venv=Path("/opt/siprec/.venv"))
SETTINGS = Settings(rtpengine=RtpengineSettings(ng=("127.0.0.1:2223", "[::1]:2224")))
RUNTIME = Runtime(settings=SETTINGS, node="here", route_key="00")


def after(option: str, command: list[str]) -> list[str]:
    return [command[i + 1] for i, word in enumerate(command) if word == option]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    state = StateFolder(tmp_path)
    yield state
    state.remove_folders()


def test_proxy_command() -> None:
    command = kamailio_command(Role.PROXY, RUNTIME, LAYOUT, Path("/run/proxy"))
    assert command[0] == "/usr/sbin/kamailio"
    assert {"-DD", "-E"} < set(command)
    assert (after("-x", command), after("-X", command)) == (["fm"], ["fm"])
    assert after("-f", command) == ["/opt/siprec/kamailio.cfg"]
    assert after("-n", command) == ["4"]
    assert after("-l", command) == ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
    assert after("-Y", command) == ["/run/proxy"]
    assert after("-P", command) == ["/run/proxy/kamailio.pid"]
    assert after("-A", command) == [
        "ROLE_PROXY",
        "LOG_LEVEL=2",
        'KEMI_SCRIPT="/opt/siprec/kemi/proxy.py"',
        "TCP_WORKERS=4",
        'RTPENGINE_0="0 == udp:127.0.0.1:2223"',
        'RTPENGINE_1="1 == udp:[::1]:2224"',
    ]


def test_src_command_starts_its_controllers() -> None:
    command = kamailio_command(Role.SRC, RUNTIME, LAYOUT, Path("/run/src"))
    assert after("-n", command) == ["2"]
    assert after("-l", command) == ["udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"]
    assert after("-A", command) == [
        "ROLE_SRC",
        "LOG_LEVEL=2",
        'KEMI_SCRIPT="/opt/siprec/kemi/src.py"',
        "TCP_WORKERS=2",
        'CONTROLLER_TIMER="name=controller;interval=1;mode=2;"',
    ]


def test_advertised_address_gets_the_port_of_its_socket() -> None:
    listen = ("udp:10.0.0.1:5060", "tcp:[::1]:5062")
    for advertise, shown in (
        ("sip.example.com", ["sip.example.com:5060", "sip.example.com:5062"]),
        ("192.0.2.1:5090", ["192.0.2.1:5090", "192.0.2.1:5090"]),
        ("[2001:db8::1]", ["[2001:db8::1]:5060", "[2001:db8::1]:5062"]),
    ):
        sip = SipSettings(listen=listen, advertise=advertise)
        runtime = replace(RUNTIME, settings=replace(SETTINGS, sip=sip))
        command = kamailio_command(Role.PROXY, runtime, LAYOUT, Path("/run"))
        pairs = zip(listen, shown, strict=True)
        assert after("-l", command) == [f"{socket}/{address}" for socket, address in pairs]


def test_log_level_reaches_every_child() -> None:
    runtime = replace(RUNTIME, settings=replace(SETTINGS, log=LogSettings(level=LogLevel.ERROR)))
    assert "LOG_LEVEL=-1" in kamailio_command(Role.PROXY, runtime, LAYOUT, Path("/run"))
    assert "--log-level=3" in rtpengine_command(runtime, LAYOUT, Path("/run"))
    assert "warning" in redis_command(Path("/s"), Path("/d"), LogLevel.ERROR)


def test_level_debug_logs_no_message_with_keys() -> None:
    runtime = replace(RUNTIME, settings=replace(SETTINGS, log=LogSettings(level=LogLevel.DEBUG)))
    assert "--log-level=6" in rtpengine_command(runtime, LAYOUT, Path("/run"))
    for role in Role:
        assert "LOG_LEVEL=2" in kamailio_command(role, runtime, LAYOUT, Path("/run"))


def test_rtpengine_command() -> None:
    assert rtpengine_command(RUNTIME, LAYOUT, Path("/run")) == [
        "/usr/bin/rtpengine",
        "--config-file=/opt/siprec/rtpengine/rtpengine.conf",
        "--interface=127.0.0.1",
        "--listen-ng=127.0.0.1:2223",
        "--port-min=30000",
        "--port-max=39999",
        "--log-level=4",
        "--pidfile=/run/rtpengine.pid",
    ]


def test_embedded_rtpengine_with_two_interfaces_names_each() -> None:
    rtpengine = replace(RUNTIME.settings.rtpengine, interface="127.0.0.1,::1")
    runtime = replace(RUNTIME, settings=replace(RUNTIME.settings, rtpengine=rtpengine))
    command = rtpengine_command(runtime, LAYOUT, Path("/run"))
    assert command[2:4] == ["--interface=127.0.0.1", "--interface=::1"]


def test_embedded_redis_keeps_everything_and_listens_on_no_port() -> None:
    command = redis_command(Path("/run/redis.sock"), Path("/state/redis"), LogLevel.INFO)
    for option, value in (
        ("--port", "0"),
        ("--unixsocket", "/run/redis.sock"),
        ("--appendonly", "yes"),
        ("--appendfsync", "everysec"),
        ("--maxmemory-policy", "noeviction"),
        ("--save", ""),
    ):
        assert after(option, command) == [value]


def test_only_what_is_embedded_is_started(state: StateFolder) -> None:
    below, above = programs(resolve(Settings(), state), LAYOUT)
    assert [program.name for program in below] == ["redis", "rtpengine"]
    assert [program.name for program in above][:2] == ["src", "proxy"]
    may_die = ["tls-src", "tls-watch", "callbacks", "api"]
    assert [program.name for program in above if program.may_die] == may_die
    below, _ = programs(resolve(SETTINGS, state), LAYOUT)
    assert [program.name for program in below] == ["redis"]


def test_kamailio_runs_the_python_of_the_virtual_environment(state: StateFolder) -> None:
    _, (src, *_) = programs(resolve(Settings(), state), LAYOUT)
    assert str(src.environment["PATH"]).startswith("/opt/siprec/.venv/bin:")
    assert src.environment["PYTHONPATH"] is None
    assert src.environment["SIPREC_RUNTIME"] == str(state.runtime)


EDGES = (
    EdgeSettings(
        name="ash",
        listen=("udp:127.0.0.3:5070", "tls:127.0.0.3:5071"),
        advertise="198.51.100.3",
        media="127.0.0.3!198.51.100.3",
    ),
    EdgeSettings(name="eu", listen=("tcp:127.0.0.4:5070",), interface="europe"),
)


def test_edges_are_sockets_of_the_recording_client_alone() -> None:
    runtime = replace(
        RUNTIME,
        settings=replace(SETTINGS, edges=EDGES),
        src_inside="127.0.0.1:9",
        sip_inside="127.0.0.1:8",
    )
    command = kamailio_command(Role.SRC, runtime, LAYOUT, Path("/run/src"))
    assert after("-l", command) == [
        "udp:127.0.0.1:5070",
        "tcp:127.0.0.1:5070",
        "udp:127.0.0.3:5070/198.51.100.3:5070",
        # Kamailio would show these two at 198.51.100.3.
        "tcp:127.0.0.4:5070/127.0.0.4:5070",
        "udp:127.0.0.1:9/127.0.0.1:9",
    ]
    command = kamailio_command(Role.PROXY, runtime, LAYOUT, Path("/run/proxy"))
    assert after("-l", command) == ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "udp:127.0.0.1:8"]


def test_embedded_rtpengine_has_an_interface_for_each_edge() -> None:
    rtpengine = replace(SETTINGS.rtpengine, interface="pub/127.0.0.1!192.0.2.1,::1")
    assert interfaces(replace(SETTINGS, rtpengine=rtpengine, edges=EDGES)) == [
        "pub/127.0.0.1!192.0.2.1",
        "::1",
        "ash/127.0.0.3!198.51.100.3",
        "europe/127.0.0.1!192.0.2.1",
    ]


def test_tls_programs_run_one_proxy_a_socket_and_what_feeds_them(state: StateFolder) -> None:
    sip = SipSettings(
        listen=("udp:127.0.0.1:5060", "tls:127.0.0.1:5061", "tls:[::1]:5061"),
        allow=("192.0.2.0/24",),
    )
    plan = resolve(Settings(sip=sip, edges=EDGES), state)
    assert plan.tls is not None
    src, ash, calls, watch = tls_programs(plan, LAYOUT)
    assert [each.name for each in (src, ash, calls, watch)] == [
        "tls-src",
        "tls-ash",
        "tls-sip",
        "tls-watch",
    ]
    insides = plan.tls.insides
    assert after("-f", list(src.command)) == ["/opt/siprec/kamailio-tls.cfg"]
    assert after("-l", list(src.command)) == [f"udp:{insides[0]}", "tls:127.0.0.1:5071"]
    assert f'SRC_URI="sip:{plan.runtime.src_inside}"' in src.command
    assert "SOURCE_IPV4=127.0.0.3" in ash.command
    assert after("-l", list(ash.command))[1] == "tls:127.0.0.3:5071/198.51.100.3:5071"
    assert after("-l", list(calls.command))[1:] == ["tls:127.0.0.1:5061", "tls:[::1]:5061"]
    assert f'PROXY_URI="sip:{plan.runtime.sip_inside}"' in calls.command
    assert 'CALLERS="192.0.2.0/24"' in calls.command
    assert list(watch.command)[-3:] == list(insides)


def test_proxy_role_runs_unless_another_proxy_carries_the_calls(state: StateFolder) -> None:
    settings = replace(SETTINGS, proxy=ProxySettings(enabled=False))
    names = [
        [program.name for program in programs(resolve(each, state), LAYOUT)[1]]
        for each in (SETTINGS, settings)
    ]
    assert [name for name in names[0] if name not in names[1]] == ["proxy"]
    assert "src" in names[1]
