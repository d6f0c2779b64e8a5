"""`siprec edge`: from where recorders are called, and what they must allow."""

import argparse
from dataclasses import replace

from siprec.settings import Settings
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns
from siprec_control.config import load_settings
from siprec_control.edges import Path, paths
from siprec_control.errors import NoStack
from siprec_control.state import read_runtime, state_folder


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec edge list`."""
    noun = Noun(nouns, common, "edge", "show from where recorders are called")
    noun.verb("list", list_edges, "list what a recorder must allow, for each edge")


def list_edges(arguments: argparse.Namespace) -> int:
    """List the paths of every edge: of the stack that runs, else of the settings file."""
    found = paths(_settings(arguments))
    if arguments.json:
        output.print_json(found)
        return 0
    titles = ("EDGE", "FOR", "TRANSPORT", "ADDRESS", "PORTS", "NOTE")
    output.print_table(titles, map(_row, found), none="no edges")
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    try:
        running = read_runtime(state_folder(arguments.state))
    except NoStack:
        return load_settings(arguments.config)
    settings = running.settings
    if running.embeds_rtpengine:
        return replace(settings, rtpengine=replace(settings.rtpengine, ng=()))
    return settings


def _row(path: Path) -> tuple[str, ...]:
    low, high = path.port_min, path.port_max
    ports = "" if low is None else f"{low}" if low == high else f"{low}-{high}"
    return (
        path.edge,
        path.purpose.value,
        path.transport,
        path.address or "unknown",
        ports,
        path.note,
    )
