"""`siprec`: the command line.

Exit code 0 is success, 1 an error that one line on standard error explains, 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence

from siprec.errors import SiprecError
from siprec.order_store import NoVerdict
from siprec.record import RecordError
from siprec.sids import SidError
from siprec.store import StoreUnavailable
from siprec_control.commands import (
    account,
    alert,
    call,
    callback,
    connector,
    edge,
    key,
    number,
    run,
    secrets,
    serve,
    stream,
)
from siprec_control.errors import ControlError

EXPLAINED = (ControlError, SiprecError, SidError, RecordError, StoreUnavailable, NoVerdict)
NOUNS = (
    *(run, serve, connector, edge, number, call, stream, alert, callback),
    *(account, key, secrets),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments (default: the process's) say; give the exit code."""
    parsed = parser().parse_args(arguments)
    try:
        code: int = parsed.act(parsed)
    except EXPLAINED as error:
        print(f"siprec: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    return code


def parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        metavar="FILE",
        help="settings of `siprec run` (default: $SIPREC_CONFIG, else ./siprec.toml if it exists)",
    )
    common.add_argument(
        "--state",
        metavar="DIR",
        help="state folder of the stack (default: $SIPREC_STATE, else ./siprec-state)",
    )
    common.add_argument("--json", action="store_true", help="print JSON")
    top = argparse.ArgumentParser(
        prog="siprec", description="Record calls through Kamailio with SIPREC."
    )
    nouns = top.add_subparsers(metavar="COMMAND", required=True)
    for noun in NOUNS:
        noun.add(nouns, common)
    return top


if __name__ == "__main__":
    sys.exit(main())
