"""`siprec secrets`: the keys that seal secrets. A key itself is never shown."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from siprec.seals import Resealed, Seals
from siprec.store import connect
from siprec.vault import VARIABLE, Key, Vault, read_keys
from siprec_control import output
from siprec_control.commands.nouns import Noun, Nouns
from siprec_control.config import config_path
from siprec_control.errors import Refused
from siprec_control.secret_keys import changing, make_key, write_keys
from siprec_control.state import read_runtime, state_folder

# All processes look at the file once a second: later than this none seals with an older key.
SETTLED_S = 2.0
NAMED = 5


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of the running stack, and what they sealed. `file` None: the variable."""

    file: Path | None
    seals: Seals

    @property
    def place(self) -> str:
        """Say where the keys are."""
        return f"${VARIABLE}" if self.file is None else str(self.file)


def add(nouns: Nouns, common: argparse.ArgumentParser) -> None:
    """Declare `siprec secrets show|rotate|reseal`."""
    noun = Noun(nouns, common, "secrets", "change the keys that seal secrets")
    noun.verb("show", show, "tell which keys there are and what they sealed; no key is shown")
    verb = noun.verb("rotate", rotate, "make a new key and seal all connectors with it")
    verb.add_argument(
        "--drop-old",
        action="store_true",
        help="make no key: remove all but the newest, if nothing needs them any more",
    )
    noun.verb("reseal", reseal, "seal all that is kept with the newest key")


def show(arguments: argparse.Namespace) -> int:
    """Show the names of the keys, since when they are there, and how much they sealed."""
    with _keyring(arguments) as ring:
        keys, used = read_keys(ring.file), ring.seals.in_use()
    counts = [(key, len(used.pop(key.name, []))) for key in keys]
    if arguments.json:
        plain = [{"key": key.name, "since": key.note, "sealed": count} for key, count in counts]
        missing = {name: len(places) for name, places in sorted(used.items())}
        output.print_json({"place": ring.place, "keys": plain, "missing": missing})
        return 0
    print(f"{len(keys)} {'key' if len(keys) == 1 else 'keys'} in {ring.place}; the first one seals")
    rows = [(key.name, key.note, str(count)) for key, count in counts]
    rows += [(name, "missing", str(len(places))) for name, places in sorted(used.items())]
    output.print_table(("KEY", "SINCE", "SEALED"), rows, none="no keys")
    return 0


def rotate(arguments: argparse.Namespace) -> int:
    """Put a new key before the others, or remove the others."""
    with _keyring(arguments) as ring:
        if ring.file is None:
            raise Refused(
                f"the keys stand in ${VARIABLE}: change them there (a new one goes first), start "
                "the stack anew, then: siprec secrets reseal"
            )
        with changing(ring.file):
            change: Callable[[Keyring, Path], tuple[dict[str, object], str]] = (
                _drop_old if arguments.drop_old else _put_new
            )
            plain, text = change(ring, ring.file)
    _tell(arguments, plain, text)
    return 0


def _put_new(ring: Keyring, file: Path) -> tuple[dict[str, object], str]:
    made = make_key()
    write_keys(file, [made, *read_keys(file)])
    done = _checked(ring.seals.reseal())
    text = f"key {made.name} seals from now on; records sealed anew: {done.count}"
    return {"key": made.name, "resealed": done.count}, text


def _drop_old(ring: Keyring, file: Path) -> tuple[dict[str, object], str]:
    newest, *old = read_keys(file)
    if not old:
        return {"dropped": []}, "there is only one key"
    time.sleep(max(0.0, min(SETTLED_S, file.stat().st_mtime + SETTLED_S - time.time())))
    _refuse_needed(old, ring.seals.in_use())
    write_keys(file, [newest])
    names = [key.name for key in old]
    return {"dropped": names}, f"dropped: {', '.join(names)}"


def _refuse_needed(old: list[Key], used: dict[str, list[str]]) -> None:
    for key in old:
        if places := used.get(key.name):
            more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
            raise Refused(f"key {key.name} is needed by {', '.join(places[:NAMED])}{more}")


def reseal(arguments: argparse.Namespace) -> int:
    """Seal all connectors with the newest key, after the keys were changed by hand."""
    with _keyring(arguments) as ring:
        done = _checked(ring.seals.reseal())
    _tell(arguments, {"resealed": done.count}, f"records sealed anew: {done.count}")
    return 0


def _checked(done: Resealed) -> Resealed:
    if done.faults:
        raise Refused(f"{'; '.join(done.faults)} (others sealed anew: {done.count})")
    return done


def _tell(arguments: argparse.Namespace, plain: dict[str, object], text: str) -> None:
    if arguments.json:
        output.print_json(plain)
    else:
        print(text)


@contextmanager
def _keyring(arguments: argparse.Namespace) -> Iterator[Keyring]:
    config_path(arguments.config)
    runtime = read_runtime(state_folder(arguments.state))
    redis = runtime.settings.redis
    client = connect(redis.url or "")
    file = Path(runtime.secret_key_file) if runtime.secret_key_file else None
    try:
        yield Keyring(file, Seals(client, redis.prefix, Vault(file)))
    finally:
        client.close()
