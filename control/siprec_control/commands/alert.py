"""`siprec alert`: what a person should know."""

import argparse

from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns, open_store


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec alert list`."""
    noun = Noun(nouns, common, "alert", "look at alerts")
    verb = noun.verb("list", list_alerts, "list the newest alerts")
    verb.add_argument("--limit", metavar="N", type=_limit, default=20, help="at most N (20)")


def list_alerts(arguments: argparse.Namespace) -> int:
    """List alerts, newest first."""
    with open_store(arguments) as (store, _):
        alerts = store.alerts(arguments.limit)
    if arguments.json:
        output.print_json(alerts)
        return 0
    rows = [
        (
            output.local_time(alert.created_ms),
            alert.level.value,
            str(alert.code),
            alert.stream_sid or alert.call_sid or alert.connector_name or "",
            alert.text,
        )
        for alert in alerts
    ]
    output.print_table(("TIME", "LEVEL", "CODE", "ABOUT", "TEXT"), rows, none="no alerts")
    return 0


def _limit(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if not 1 <= limit <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return limit
