"""`siprec callback`: status callbacks that were given up."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from siprec.callback_store import CallbackStore, GivenUp
from siprec.store import connect
from siprec.stream_events import Undelivered
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns
from siprec_control.config import config_path
from siprec_control.errors import Refused
from siprec_control.state import read_runtime, state_folder
from siprec_web.urls import shown


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec callback list` and `siprec callback resend`."""
    noun = Noun(nouns, common, "callback", "look after callbacks that were given up")
    noun.verb("list", list_callbacks, "list the callbacks that were given up")
    verb = noun.verb("resend", resend, "send callbacks again, for another day")
    verb.add_argument("token", metavar="TOKEN", nargs="*", help="as `siprec callback list` has it")
    verb.add_argument("--all", action="store_true", help="all that there are")


def list_callbacks(arguments: argparse.Namespace) -> int:
    """List what was given up, oldest first."""
    with _open(arguments) as store:
        found = store.given_up()
    if arguments.json:
        output.print_json([_without_secrets(each.undelivered) for each in found])
        return 0
    rows = [
        (
            output.local_time(each.undelivered.failed_ms),
            each.undelivered.callback.event.token,
            each.undelivered.callback.event.kind.value,
            each.undelivered.callback.event.stream_sid or each.undelivered.callback.event.call_sid,
            shown(each.undelivered.callback.url),
            str(each.undelivered.code),
            each.undelivered.text,
        )
        for each in found
    ]
    titles = ("GIVEN UP", "TOKEN", "EVENT", "ABOUT", "URL", "CODE", "WHY")
    output.print_table(titles, rows, none="no callback was given up")
    return 0


def resend(arguments: argparse.Namespace) -> int:
    """Queue callbacks again; they go out at once."""
    if bool(arguments.token) is arguments.all:
        raise Refused("say which callbacks: either their tokens, or --all")
    with _open(arguments) as store:
        found = {each.undelivered.callback.event.token: each for each in store.given_up()}
        if missing := [token for token in arguments.token if token not in found]:
            raise Refused(f"no callback with the token {missing[0]} was given up")
        wanted: list[GivenUp] = [found[token] for token in arguments.token or found]
        count = sum(store.send_again(each) for each in wanted)
    if arguments.json:
        output.print_json({"queued": count})
    else:
        print(f"queued {count} callback{'' if count == 1 else 's'}")
    return 0


def _without_secrets(record: Undelivered) -> Undelivered:
    return replace(record, callback=replace(record.callback, url=shown(record.callback.url)))


@contextmanager
def _open(arguments: argparse.Namespace) -> Iterator[CallbackStore]:
    config_path(arguments.config)
    settings = read_runtime(state_folder(arguments.state)).settings.redis
    with connect(settings.url or "") as client:
        yield CallbackStore(client, settings.prefix)
