"""What the commands of every noun share: their parsers, and the store they work on."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from siprec.store import Store
from siprec.vault import Vault
from siprec_control.config import config_path
from siprec_control.state import read_runtime, state_folder

Nouns: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Act = Callable[[argparse.Namespace], int]


class Noun:
    """`siprec NOUN VERB …`: declares one verb after another."""

    def __init__(
        self, nouns: Nouns, common: argparse.ArgumentParser, name: str, summary: str
    ) -> None:
        parser = nouns.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        self._verbs: Nouns = parser.add_subparsers(metavar="VERB", required=True)
        self._common = common

    def verb(self, name: str, act: Act, summary: str) -> argparse.ArgumentParser:
        """Declare a verb that `act` does; the caller adds its arguments."""
        parser = self._verbs.add_parser(
            name, parents=[self._common], help=summary, description=f"{summary.capitalize()}."
        )
        parser.set_defaults(act=act)
        return parser


@contextmanager
def open_store(arguments: argparse.Namespace) -> Iterator[tuple[Store, str]]:
    """Open the running stack's store; gives it with the sid of the default account.

    Raises:
        NoStack: no stack runs with that state folder.
        ConfigError: `--config` names a file that does not exist.
    """
    config_path(arguments.config)
    runtime = read_runtime(state_folder(arguments.state))
    settings, vault = runtime.settings, Vault.from_runtime(runtime)
    with Store.connect(settings.redis.url or "", settings.redis.prefix, vault) as store:
        yield store, settings.account.sid or ""
