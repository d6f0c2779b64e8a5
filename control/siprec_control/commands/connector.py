"""`siprec connector`: where streams go."""

import argparse
import sys
import time
from dataclasses import replace

from siprec.connector import Connector
from siprec.errors import ConnectorError
from siprec.store import Store
from siprec.tls_profile import expiring
from siprec_control import output
from siprec_control.commands import connector_view
from siprec_control.commands.connector_options import Given, connector_of, declare
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.connector_fields import checked
from siprec_control.errors import Refused
from siprec_control.state import read_runtime, state_folder


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec connector set|list|show|drain|undrain|delete`."""
    noun = Noun(nouns, common, "connector", "say where recordings go")
    declare(noun.verb("set", set_connector, "add or replace a connector"))
    noun.verb("list", list_connectors, "list the connectors")
    verb = noun.verb("show", show_connector, "show a connector, and how its recorders are")
    verb.add_argument("name", metavar="NAME")
    for name, act, summary in (
        ("drain", drain_srs, "give a recorder no new recordings; those it has go on"),
        ("undrain", undrain_srs, "give a drained recorder recordings again"),
    ):
        verb = noun.verb(name, act, summary)
        verb.add_argument("name", metavar="NAME")
        verb.add_argument("uri", metavar="URI", help="as `connector show` writes it")
    verb = noun.verb("delete", delete_connector, "delete a connector")
    verb.add_argument("name", metavar="NAME")


def set_connector(arguments: argparse.Namespace) -> int:
    """Add or replace a connector of the default account."""
    settings = read_runtime(state_folder(arguments.state)).settings
    now_ms = _now_ms()
    with open_store(arguments) as (store, account_sid):
        given = connector_of(arguments, account_sid, store.connector(account_sid, arguments.name))
        try:
            connector = checked(store, settings, given.connector, now_ms)
        except ConnectorError as error:
            if error.field in given.kept:
                why = f"{error} (kept from before: --no-credentials forgets it)"
                raise Refused(why) from error
            raise
        store.put_connector(connector)
    _tell(given, connector, now_ms)
    if arguments.json:
        output.print_json(connector)
    else:
        uris = ", ".join(srs.uri for srs in connector.srs)
        print(f"connector {output.shown(connector.name)} goes to {output.shown(uris)}")
    return 0


def list_connectors(arguments: argparse.Namespace) -> int:
    """List the connectors of the default account."""
    now_ms = _now_ms()
    with open_store(arguments) as (store, account_sid):
        connectors = store.connectors(account_sid)
        healths, loads = store.healths(), store.loads(now_ms)
    if arguments.json:
        output.print_json(connectors)
        return 0
    rows = [
        connector_view.list_row(c, connector_view.views(c, healths, loads, now_ms))
        for c in connectors
    ]
    output.print_table(connector_view.LIST_TITLES, rows, none="no connectors")
    return 0


def show_connector(arguments: argparse.Namespace) -> int:
    """Show one connector."""
    now_ms = _now_ms()
    with open_store(arguments) as (store, account_sid):
        connector = _existing(store, account_sid, arguments.name)
        views = connector_view.views(connector, store.healths(), store.loads(now_ms), now_ms)
    if arguments.json:
        output.print_json(connector_view.plain(connector, views))
        return 0
    output.print_fields(connector_view.field_lines(connector))
    print()
    rows = [connector_view.srs_row(view) for view in views]
    output.print_table(connector_view.SRS_TITLES, rows, none="")
    return 0


def drain_srs(arguments: argparse.Namespace) -> int:
    """Give an SRS no new recordings."""
    return _set_drained(arguments, True)


def undrain_srs(arguments: argparse.Namespace) -> int:
    """Give an SRS recordings again."""
    return _set_drained(arguments, False)


def delete_connector(arguments: argparse.Namespace) -> int:
    """Delete a connector; running streams go on."""
    with open_store(arguments) as (store, account_sid):
        if not store.delete_connector(account_sid, arguments.name):
            raise Refused(f"NAME: no connector {arguments.name!r}")
    if arguments.json:
        output.print_json({"deleted": arguments.name})
    else:
        print(f"connector {output.shown(arguments.name)} deleted")
    return 0


def _set_drained(arguments: argparse.Namespace, drained: bool) -> int:
    with open_store(arguments) as (store, account_sid):
        connector = _existing(store, account_sid, arguments.name)
        uris = [srs.uri for srs in connector.srs]
        if arguments.uri not in uris:
            raise Refused(f"URI: {arguments.uri!r} is none of {', '.join(uris)}")
        srs = tuple(
            replace(one, drained=drained) if one.uri == arguments.uri else one
            for one in connector.srs
        )
        connector = replace(connector, srs=srs)
        store.put_connector(connector)
    if all(one.drained for one in srs):
        _note("note", f"connector {connector.name}: all recorders are drained, nothing is recorded")
    if arguments.json:
        output.print_json(connector)
    else:
        what = "gets no new recordings" if drained else "gets recordings again"
        print(f"{output.shown(arguments.uri)} {what}")
    return 0


def _existing(store: Store, account_sid: str, name: str) -> Connector:
    connector = store.connector(account_sid, name)
    if connector is None:
        raise Refused(f"NAME: no connector {name!r}")
    return connector


def _tell(given: Given, connector: Connector, now_ms: int) -> None:
    if given.kept:
        _note("note", f"kept from before: {', '.join(given.kept)} (--no-credentials forgets them)")
    for uri in given.still_drained:
        _note("note", f"{uri} is still drained")
    for sentence in expiring(connector, now_ms):
        _note("warning", sentence)


def _note(level: str, text: str) -> None:
    print(f"siprec: {level}: {output.shown(text)}", file=sys.stderr)


def _now_ms() -> int:
    return int(time.time() * 1000)
