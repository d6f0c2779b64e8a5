"""`siprec alert`: what a person should know."""

import argparse

from siprec.alerts import Alert
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.errors import Refused


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec alert list|show`."""
    noun = Noun(nouns, common, "alert", "look at alerts")
    verb = noun.verb("list", list_alerts, "list the newest alerts")
    verb.add_argument("--limit", metavar="N", type=_limit, default=20, help="at most N (20)")
    verb = noun.verb("show", show_alert, "show all of an alert, and what to do about it")
    verb.add_argument("alert", metavar="NO…")


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
            alert.sid,
            alert.level.value,
            str(alert.code),
            alert.stream_sid or alert.call_sid or alert.connector_name or "",
            alert.text,
        )
        for alert in alerts
    ]
    output.print_table(("TIME", "ALERT", "LEVEL", "CODE", "ABOUT", "TEXT"), rows, none="no alerts")
    return 0


def show_alert(arguments: argparse.Namespace) -> int:
    """Show an alert.

    Raises:
        SidError: NO… is no sid of an alert.
    """
    with open_store(arguments) as (store, _):
        alert = store.alert(arguments.alert)
    if alert is None:
        raise Refused(f"NO…: no alert {arguments.alert!r}")
    if arguments.json:
        output.print_json(alert)
        return 0
    told = [(name, value) for name, value in _fields(alert) if value]
    output.print_fields(told)
    return 0


def _fields(alert: Alert) -> list[tuple[str, str]]:
    answer = f"{alert.sip_status or ''} {alert.sip_reason or ''}".strip()
    fields = [
        ("alert", alert.sid),
        ("time", output.local_time(alert.created_ms, exact=True)),
        ("level", alert.level.value),
        ("code", str(alert.code)),
        ("text", alert.text),
        ("what to do", alert.advice),
        ("account", alert.account_sid),
        ("call", alert.call_sid or ""),
        ("stream", alert.stream_sid or ""),
        ("connector", alert.connector_name or ""),
        ("srs", alert.srs or ""),
        ("sip answer", answer),
    ]
    if alert.request is not None:
        status = "" if alert.request.status is None else str(alert.request.status)
        fields += [
            ("request", f"{alert.request.method} {alert.request.url}"),
            ("sent", alert.request.variables),
            ("http answer", f"{status} {alert.request.headers}".strip()),
            ("body", alert.request.body),
        ]
    return fields


def _limit(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if not 1 <= limit <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return limit
