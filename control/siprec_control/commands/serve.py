"""`siprec serve`: the interface of programs, beside a stack that runs elsewhere."""

import argparse

from siprec_control.commands.nouns import Nouns
from siprec_control.state import read_runtime, state_folder


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec serve`."""
    parser = nouns.add_parser(
        "serve",
        parents=[common],
        help="answer programs over HTTP",
        description="Answer programs over HTTP at [control] listen. `siprec run` does it already.",
    )
    parser.set_defaults(act=act)


def act(arguments: argparse.Namespace) -> int:
    """Answer until a signal ends the process.

    Raises:
        NoStack: no stack runs with that state folder.
    """
    # The web framework takes longer to load than all other commands to do their work.
    from siprec_control.rest.__main__ import serve

    state = state_folder(arguments.state)
    serve(read_runtime(state), state)
    return 0
