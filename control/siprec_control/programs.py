"""The command lines of what `siprec run` starts. Pure: a plan in, arguments out."""

import os
from enum import StrEnum
from pathlib import Path

from siprec.settings import LogLevel, Runtime, Settings, SipSettings, SrcSettings
from siprec_control.children import Program
from siprec_control.edges import media_addresses
from siprec_control.layout import Layout
from siprec_control.runtime import Plan
from siprec_control.tls_proxies import KAMAILIO, kamailio_listen, tls_command, without_tls

RTPENGINE = "/usr/bin/rtpengine"
REDIS_SERVER = "/usr/bin/redis-server"

# At 3 core, tm, rtpengine and app_python3 log whole messages: keys of SRTP, credentials.
_KAMAILIO_LEVEL = {
    LogLevel.DEBUG: 2,
    LogLevel.INFO: 2,
    LogLevel.WARNING: 0,
    LogLevel.ERROR: -1,
}
# At INFO it would log each line of tls.cfg, again and again.
_TLS_LEVEL = {**_KAMAILIO_LEVEL, LogLevel.INFO: 1}
# Level 5 logs every call, 6 every NG command, 7 would log SDP with its keys.
_RTPENGINE_LEVEL = {
    LogLevel.DEBUG: 6,
    LogLevel.INFO: 4,
    LogLevel.WARNING: 4,
    LogLevel.ERROR: 3,
}
_REDIS_LEVEL = {
    LogLevel.DEBUG: "debug",
    LogLevel.INFO: "notice",
    LogLevel.WARNING: "warning",
    LogLevel.ERROR: "warning",
}


class Role(StrEnum):
    """The two Kamailios: one carries calls, one is the recording client."""

    PROXY = "proxy"
    SRC = "src"


def kamailio_defines(role: Role, runtime: Runtime, layout: Layout) -> dict[str, int | str | None]:
    """Give what kamailio.cfg reads with #!ifdef (None) and as values.

    A str arrives there as a quoted string, an int bare.
    """
    settings = runtime.settings
    workers = settings.sip.workers if role is Role.PROXY else settings.src.workers
    defines: dict[str, int | str | None] = {
        f"ROLE_{role.value.upper()}": None,
        "LOG_LEVEL": _KAMAILIO_LEVEL[settings.log.level],
        "KEMI_SCRIPT": str(layout.kemi / f"{role.value}.py"),
        "TCP_WORKERS": workers,
    }
    if role is Role.SRC:
        mode = settings.src.controllers
        return {**defines, "CONTROLLER_TIMER": f"name=controller;interval=1;mode={mode};"}
    # Each instance is a set of its own: a call stays with the one that its offer went to.
    for index, address in enumerate(settings.rtpengine.ng):
        defines[f"RTPENGINE_{index}"] = f"{index} == udp:{address}"
    return defines


def kamailio_command(role: Role, runtime: Runtime, layout: Layout, run: Path) -> list[str]:
    """Build the command line of one role; `run` is its folder for sockets and the pid file."""
    settings = runtime.settings
    sip: SipSettings | SrcSettings = settings.sip if role is Role.PROXY else settings.src
    # 2.5 times the CPU with Debian's default allocator: hence -x fm -X fm.
    command = [KAMAILIO, "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "128", "-M", "16"]
    command += ["-f", str(layout.kamailio_cfg)]
    for name, value in kamailio_defines(role, runtime, layout).items():
        command += ["-A", _define(name, value)]
    command += ["-n", str(sip.workers)]
    sockets = [(listen, sip.advertise) for listen in without_tls(sip.listen)]
    for edge in settings.edges if role is Role.SRC else ():
        sockets += [(listen, edge.advertise) for listen in without_tls(edge.listen)]
    # Last: the sockets before it are tried first for what has no socket of its own.
    if inside := runtime.sip_inside if role is Role.PROXY else runtime.src_inside:
        sockets.append((f"udp:{inside}", None))
    command += kamailio_listen(sockets)
    return [*command, "-Y", str(run), "-P", str(run / "kamailio.pid")]


def rtpengine_command(runtime: Runtime, layout: Layout, run: Path) -> list[str]:
    """Build the command line of the embedded rtpengine."""
    settings = runtime.settings.rtpengine
    return [
        RTPENGINE,
        f"--config-file={layout.rtpengine_conf}",
        *(f"--interface={interface}" for interface in interfaces(runtime.settings)),
        f"--listen-ng={settings.ng[0]}",
        f"--port-min={settings.port_min}",
        f"--port-max={settings.port_max}",
        f"--log-level={_RTPENGINE_LEVEL[runtime.settings.log.level]}",
        f"--pidfile={run / 'rtpengine.pid'}",
    ]


def interfaces(settings: Settings) -> list[str]:
    """List the interfaces of the embedded rtpengine: the default one, then those of edges.

    An edge without media of its own has the addresses of the default one, under its name.
    """
    found = settings.rtpengine.interface.split(",")
    for edge in settings.edges:
        addresses = media_addresses(edge, settings.rtpengine)
        found += [f"{edge.interface or edge.name}/{address}" for address in addresses]
    return found


def redis_command(
    socket: Path, folder: Path, level: LogLevel, acl: Path | None = None
) -> list[str]:
    """Build the command line of the embedded redis-server: a unix socket and a log on disk.

    `acl` is the file with its users; without one everybody may do everything.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "logfile": "",
        "loglevel": _REDIS_LEVEL[level],
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    if acl is not None:
        options["aclfile"] = str(acl)
    command = [REDIS_SERVER]
    for name, value in options.items():
        command += [f"--{name}", value]
    return command


def programs(plan: Plan, layout: Layout) -> tuple[list[Program], list[Program]]:
    """List what is started first (Redis, rtpengine) and what then (all Kamailios)."""
    runtime = plan.runtime
    environment = kamailio_environment(plan, layout)
    below: list[Program] = []
    if plan.redis_socket is not None:
        level = runtime.settings.log.level
        state = plan.state
        command = redis_command(plan.redis_socket, state.redis, level, state.redis_acl)
        below.append(Program(name="redis", command=command))
    if plan.embeds_rtpengine:
        command = rtpengine_command(runtime, layout, plan.sockets)
        below.append(Program(name="rtpengine", command=command))
    above = [
        Program(
            name=role.value,
            command=kamailio_command(role, runtime, layout, plan.sockets / role.value),
            environment=environment,
        )
        for role in (Role.SRC, Role.PROXY)
        if role is Role.SRC or runtime.settings.proxy.enabled
    ]
    above += tls_programs(plan, layout)
    above.append(callback_program(plan, layout))
    above.append(api_program(plan, layout))
    return below, above


def tls_programs(plan: Plan, layout: Layout) -> list[Program]:
    """List the TLS proxies, and what feeds them; none when there is no `tls:` socket."""
    if plan.tls is None:
        return []
    found = []
    level = _TLS_LEVEL[plan.runtime.settings.log.level]
    for index, outside in enumerate(plan.tls.outsides):
        run = plan.sockets / outside.name
        command = tls_command(plan.tls, index, layout.kamailio_tls_cfg, run, level)
        found.append(Program(name=outside.name, command=command, may_die=True))
    python = str(layout.venv / "bin" / "python")
    command = [python, "-m", "siprec_control.tls_watch", str(plan.state.runtime)]
    command += [str(plan.tls.folder), *plan.tls.insides]
    return [*found, Program(name="tls-watch", command=command, may_die=True)]


def callback_program(plan: Plan, layout: Layout) -> Program:
    """Give the callback worker."""
    python = str(layout.venv / "bin" / "python")
    command = [python, "-m", "siprec_control.callbacks", str(plan.state.runtime)]
    return Program(name="callbacks", command=command, may_die=True)


def api_program(plan: Plan, layout: Layout) -> Program:
    """Give the program that answers programs over HTTP."""
    python = str(layout.venv / "bin" / "python")
    command = [python, "-m", "siprec_control.rest", str(plan.state.runtime)]
    return Program(name="api", command=command, may_die=True)


def kamailio_environment(plan: Plan, layout: Layout) -> dict[str, str | None]:
    """Give what Kamailio's Python needs: our virtual environment, and where runtime.json is.

    None unsets a variable.
    """
    return {
        # Embedded Python finds pyvenv.cfg, and so our packages, by the python3 on the path.
        "PATH": f"{layout.venv / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": None,
        "PYTHONHOME": None,
        "SIPREC_RUNTIME": str(plan.state.runtime),
    }


def _define(name: str, value: int | str | None) -> str:
    if value is None:
        return name
    return f"{name}={value}" if isinstance(value, int) else f'{name}="{value}"'
