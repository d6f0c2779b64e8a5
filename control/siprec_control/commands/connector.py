"""`siprec connector`: where streams go."""

import argparse

from siprec.connectors import check_connector
from siprec.model import Connector, ParametersIn, Srs
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns, open_store
from siprec_control.errors import Refused


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec connector set|list|show|delete`."""
    noun = Noun(nouns, common, "connector", "say where recordings go")
    verb = noun.verb("set", set_connector, "add or replace a connector")
    verb.add_argument("name", metavar="NAME", help="what connectorName refers to")
    verb.add_argument("--srs", metavar="URI", required=True, help="SIP URI of the recorder")
    verb.add_argument(
        "--parameters",
        choices=[kind.value for kind in ParametersIn],
        default=ParametersIn.BOTH.value,
        help="where custom parameters of a stream are put (default: both)",
    )
    noun.verb("list", list_connectors, "list the connectors")
    for name, act in (("show", show_connector), ("delete", delete_connector)):
        verb = noun.verb(name, act, f"{name} a connector")
        verb.add_argument("name", metavar="NAME")


def set_connector(arguments: argparse.Namespace) -> int:
    """Add or replace a connector of the default account."""
    with open_store(arguments) as (store, account_sid):
        connector = Connector(
            account_sid=account_sid,
            name=arguments.name,
            srs=(Srs(uri=arguments.srs),),
            parameters=ParametersIn(arguments.parameters),
        )
        check_connector(connector)
        store.put_connector(connector)
    if arguments.json:
        output.print_json(connector)
    else:
        print(f"connector {output.shown(connector.name)} goes to {output.shown(arguments.srs)}")
    return 0


def list_connectors(arguments: argparse.Namespace) -> int:
    """List the connectors of the default account."""
    with open_store(arguments) as (store, account_sid):
        connectors = store.connectors(account_sid)
    if arguments.json:
        output.print_json(connectors)
        return 0
    rows = [(c.name, ", ".join(srs.uri for srs in c.srs), c.parameters.value) for c in connectors]
    output.print_table(("NAME", "SRS", "PARAMETERS"), rows, none="no connectors")
    return 0


def show_connector(arguments: argparse.Namespace) -> int:
    """Show one connector."""
    with open_store(arguments) as (store, account_sid):
        connector = store.connector(account_sid, arguments.name)
    if connector is None:
        raise Refused(f"NAME: no connector {arguments.name!r}")
    if arguments.json:
        output.print_json(connector)
    else:
        output.print_fields(
            [
                ("name", connector.name),
                ("srs", ", ".join(srs.uri for srs in connector.srs)),
                ("parameters", connector.parameters.value),
                ("account", connector.account_sid),
            ]
        )
    return 0


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
