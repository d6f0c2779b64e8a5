"""`siprec serve`: the interface of programs, beside a stack that runs elsewhere."""

import argparse
from dataclasses import replace
from pathlib import Path

from siprec.settings import Runtime
from siprec_control import values
from siprec_control.commands.nouns import Nouns
from siprec_control.config import check_control
from siprec_control.errors import ControlError, Refused
from siprec_control.state import read_runtime, state_folder


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec serve`."""
    parser = nouns.add_parser(
        "serve",
        parents=[common],
        help="answer programs over HTTP",
        description="Answer programs over HTTP beside `siprec run`, which does so itself at"
        " [control] listen: at another address, or with another certificate.",
    )
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="where; default: [control] listen")
    parser.add_argument("--tls-cert", metavar="FILE", help="PEM, for HTTPS; with --tls-key")
    parser.add_argument("--tls-key", metavar="FILE", help="PEM")
    parser.set_defaults(act=act)


def act(arguments: argparse.Namespace) -> int:
    """Answer until a signal ends the process.

    Raises:
        NoStack: no stack runs with that state folder.
        Refused: an option cannot be used.
        StartError: the port is taken, or the certificate cannot be used.
    """
    # The web framework takes longer to load than all other commands to do their work.
    from siprec_control.rest.__main__ import serve

    state = state_folder(arguments.state)
    runtime = read_runtime(state)
    serve(with_options(runtime, arguments), state)
    return 0


def with_options(runtime: Runtime, arguments: argparse.Namespace) -> Runtime:
    """Give the settings of the stack with what the options say otherwise.

    Raises:
        Refused: names the option.
    """
    control = runtime.settings.control
    if arguments.listen is not None:
        try:
            listen = values.ip_port(arguments.listen)
        except ValueError as error:
            raise Refused(f"--listen: {error}") from error
        # The URL of the stack's own API leads elsewhere.
        control = replace(control, listen=listen, public_url=None)
    if arguments.tls_cert or arguments.tls_key:
        control = replace(
            control, tls_cert=_absolute(arguments.tls_cert), tls_key=_absolute(arguments.tls_key)
        )
    check_control(control, _refused)
    return replace(runtime, settings=replace(runtime.settings, control=control))


def _absolute(path: str | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _refused(key: str, why: str) -> ControlError:
    option = key.rpartition(".")[2].replace("_", "-")
    return Refused(f"--{option}: {why}")
