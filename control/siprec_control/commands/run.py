"""`siprec run`: the whole stack in the foreground."""

import argparse
import os
import re
from dataclasses import replace

from siprec.settings import ControlSettings, RtpengineSettings, Runtime, Settings
from siprec_control import ports, ready
from siprec_control.commands.nouns import Nouns
from siprec_control.config import load_settings
from siprec_control.errors import StartError
from siprec_control.layout import find_layout
from siprec_control.logs import log_writer
from siprec_control.media_ports import claimed
from siprec_control.programs import Role, interfaces, programs
from siprec_control.rest.certificate import certificate_files
from siprec_control.runtime import Plan, resolve
from siprec_control.state import StateFolder, locked, state_folder
from siprec_control.supervisor import Stage, Supervisor
from siprec_control.tls_profiles import write_configs


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec run`."""
    parser = nouns.add_parser(
        "run",
        parents=[common],
        help="run the stack in the foreground",
        description="Start Redis, rtpengine and both Kamailios, keep them running, and print one"
        " line that begins with 'ready' when calls can be placed and recorded."
        " SIGTERM or Ctrl-C ends everything.",
    )
    parser.set_defaults(act=act)


def act(arguments: argparse.Namespace) -> int:
    """Run the stack until a signal (0) or until it cannot be kept up (1).

    Raises:
        ControlError: the stack cannot start.
    """
    settings = without_unused(load_settings(arguments.config))
    layout = find_layout()
    state = state_folder(arguments.state)
    with locked(state), claimed(_media(settings)):
        _check_ports(settings)
        if files := certificate_files(settings.control):
            files.check()
        try:
            plan = resolve(settings, state)
            _make_folders(plan)
            below, above = programs(plan, layout)
            insides = plan.tls.insides if plan.tls else ()
            probes_below, probes_above = ready.probes(plan.runtime, insides)
            supervisor = Supervisor(
                [
                    Stage(programs=below, probes=probes_below),
                    Stage(programs=above, probes=probes_above),
                ],
                folder=state.path,
                log=log_writer(settings.log.format, dict(os.environ)),
                ready_line=ready_line(plan.runtime, state),
            )
            failure = supervisor.run()
        finally:
            state.runtime.unlink(missing_ok=True)
            state.remove_folders()
    if failure is not None:
        raise StartError(failure)
    return 0


def without_unused(settings: Settings) -> Settings:
    """Take the sockets of a proxy role that does not run out of the settings."""
    if settings.proxy.enabled:
        return settings
    return replace(settings, sip=replace(settings.sip, listen=()))


def ready_line(runtime: Runtime, state: StateFolder) -> str:
    """Compose the line that says where everything is."""
    settings = runtime.settings
    fields = {
        **({"sip": ",".join(settings.sip.listen)} if settings.proxy.enabled else {}),
        "src": ",".join(settings.src.listen),
        "redis": re.sub(r"//.*@", "//***@", settings.redis.url or ""),
        "rtpengine": ",".join(settings.rtpengine.ng),
        "api": api_url(settings.control),
        "state": str(state.path),
    }
    return "ready " + " ".join(f"{name}={value}" for name, value in fields.items())


def api_url(control: ControlSettings) -> str:
    """Give the URL that programs use."""
    return control.public_url or f"http{'s' if control.tls_cert else ''}://{control.listen}"


def _check_ports(settings: Settings) -> None:
    taken = [f"[sip] listen {why}" for why in ports.busy(settings.sip.listen)]
    taken += [f"[src] listen {why}" for why in ports.busy(settings.src.listen)]
    for edge in settings.edges:
        taken += [f"[edges.{edge.name}] listen {why}" for why in ports.busy(edge.listen)]
    taken += [f"[control] listen {why}" for why in ports.busy([f"tcp:{settings.control.listen}"])]
    if taken:
        raise StartError("cannot listen: " + "; ".join(taken))


def _media(settings: Settings) -> RtpengineSettings:
    """Give the settings of rtpengine with the interfaces of all edges."""
    addresses = (each.rpartition("/")[2] for each in interfaces(settings))
    return replace(settings.rtpengine, interface=",".join(addresses))


def _make_folders(plan: Plan) -> None:
    try:
        plan.state.redis.mkdir(mode=0o700, exist_ok=True)
        names = [role.value for role in Role]
        names += [outside.name for outside in plan.tls.outsides] if plan.tls else []
        for name in names:
            (plan.sockets / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartError(f"{error.filename}: {error.strerror}") from error
    if plan.tls is not None:
        # To start with; connectors are in Redis, which does not run yet.
        write_configs(plan.tls.folder, plan.runtime.settings.tls, ())
