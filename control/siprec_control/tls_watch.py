"""Feeds the TLS proxies: a program of its own, started and restarted by `siprec run`.

Connectors change while the stack runs. Each second what they need of TLS is read from Redis. When
it has changed, or the files of our own certificate have, tls.cfg is written and every TLS proxy is
told to load it; then the names of the profiles are written for the controllers, which do not
connect to a recorder before. Without Redis the profiles stay as they are.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from siprec.connector import Connector
from siprec.errors import SiprecError
from siprec.record import RecordError, from_json
from siprec.settings import Runtime, TlsSettings
from siprec.srs_uri import parse_srs_uri
from siprec.store import Store, StoreUnavailable
from siprec.tls_profile import TlsProfile, tls_profile
from siprec.vault import Vault
from siprec_control.errors import StateError
from siprec_control.ready import sip_status
from siprec_control.state import write_private
from siprec_control.tls_profiles import (
    LOADED,
    RECORDERS,
    fault,
    remove_unused,
    write_configs,
)
from siprec_control.values import Endpoint, parse_listen

PAUSE_S = 0.5
# Half a second for each profile that trusts the authorities of the system.
RELOAD_S = 10.0
# A TLS proxy that is away this long does not hold up the others: it reads all when it starts.
PATIENCE_S = 3.0
# One that refused is not asked at once again: each time it logs tls.cfg.
RETRY_S = 10.0
_REDIS_S = 2.0


class _State(NamedTuple):
    """What has to be written: the profiles, and which files our own certificate is in."""

    profiles: tuple[TlsProfile, ...]
    files: tuple[tuple[str, int, int], ...]


class Feeder:
    """Keeps the TLS proxies with the insides `insides` (`HOST:PORT`) up to date, turn by turn."""

    def __init__(self, folder: Path, tls: TlsSettings, insides: Iterable[str]) -> None:
        self._folder = folder
        self._tls = tls
        self._insides = [parse_listen(f"udp:{inside}") for inside in insides]
        self._written: _State | None = None
        self._since_s = 0.0
        self._retry_at_s = 0.0
        self._usable: list[TlsProfile] = []
        self._gone: set[str] = set()
        self._behind: list[Endpoint] = []
        self._complaints: set[str] = set()
        self._is_announced = False

    def turn(self, connectors: Iterable[Connector]) -> None:
        """Bring everybody up to date with these connectors.

        Raises:
            StateError: the folder cannot be written to.
        """
        wanted = _State(tuple(profiles_of(connectors)), _files(self._tls))
        # The system may empty its folders for temporary files.
        if wanted != self._written or not (self._folder / RECORDERS).exists():
            self._write(wanted)
        now_s = time.monotonic()
        if now_s >= self._retry_at_s:
            self._behind = [inside for inside in self._behind if not self._reloads(inside)]
        is_late = now_s - self._since_s > PATIENCE_S
        if not self._is_announced and (is_late or not self._behind):
            names = "".join(f"{profile.name}\n" for profile in self._usable)
            write_private(self._folder / LOADED, names)
            self._is_announced = True
        if not self._behind:
            remove_unused(self._folder, self._usable)
            self._gone.clear()

    def _write(self, wanted: _State) -> None:
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
        self._complaints.clear()
        before = {profile.name for profile in self._usable}
        self._usable = [profile for profile in wanted.profiles if self._is_usable(profile)]
        names = {profile.name for profile in self._usable}
        self._gone = (self._gone | before) - names
        write_configs(self._folder, self._tls, self._usable)
        self._written = wanted
        self._since_s = time.monotonic()
        self._retry_at_s = 0.0
        self._behind = list(self._insides)
        self._is_announced = False

    def _is_usable(self, profile: TlsProfile) -> bool:
        why = fault(self._folder, profile)
        if why is not None:
            self._complain(f"profile {profile.name} of a connector is left out: {why}")
        return why is None

    def _reloads(self, inside: Endpoint) -> bool:
        """Tell a TLS proxy to load its profiles; False when it did not, or is away."""
        try:
            status = sip_status(inside, user="reload", within_s=RELOAD_S)
        except OSError:
            return False
        if not status.startswith("SIP/2.0 200 "):
            place = f"{inside.host}:{inside.port}"
            self._complain(f"the TLS proxy at {place} keeps its old profiles: {status}")
            self._retry_at_s = time.monotonic() + RETRY_S
            return False
        return self._tells_gone(inside)

    def _tells_gone(self, inside: Endpoint) -> bool:
        """Let a TLS proxy know whose connections need not be heeded any more."""
        try:
            for name in self._gone:
                sip_status(inside, user=f"gone-{name}", within_s=RELOAD_S)
        except OSError:
            return False
        return True

    def _complain(self, line: str) -> None:
        if line not in self._complaints:
            self._complaints.add(line)
            _say(f"ERROR: {line}")


def profiles_of(connectors: Iterable[Connector]) -> list[TlsProfile]:
    """Give the profiles of the connectors that have a recorder over TLS, each once, by name."""
    found = {}
    for connector in connectors:
        if any(_is_tls(srs.uri) for srs in connector.srs):
            profile = tls_profile(connector)
            found[profile.name] = profile
    return sorted(found.values(), key=lambda profile: profile.name)


def _is_tls(uri: str) -> bool:
    try:
        return parse_srs_uri(uri).transport == "tls"
    except SiprecError:
        return False


def _files(tls: TlsSettings) -> tuple[tuple[str, int, int], ...]:
    """Tell files from what they were before: a certificate may be renewed at any time."""
    found = []
    for name in (tls.certificate, tls.private_key, tls.client_ca):
        path = Path(name or "")
        if name is not None and path.is_file():
            status = path.stat()
            found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _say(line: str) -> None:
    print(line, flush=True)


def watch(runtime: Runtime, folder: Path, insides: Sequence[str]) -> None:
    """Feed the TLS proxies for ever."""
    settings = runtime.settings
    feeder = Feeder(folder, settings.tls, insides)
    vault = Vault.from_runtime(runtime)
    url, prefix = settings.redis.url or "", settings.redis.prefix
    complaint = ""
    with Store.connect(url, prefix, vault, timeout_s=_REDIS_S) as store:
        while True:
            try:
                feeder.turn(store.all_connectors())
                complaint = ""
            except (StoreUnavailable, StateError, SiprecError, RecordError) as error:
                if str(error) != complaint:
                    complaint = str(error)
                    _say(f"WARNING: the profiles stay as they are: {complaint}")
            time.sleep(PAUSE_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Feed the TLS proxies until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="siprec-tls-watch", description=__doc__)
    parser.add_argument("runtime", type=Path, help="runtime.json of the stack")
    parser.add_argument("folder", type=Path, help="where tls.cfg is")
    parser.add_argument("insides", nargs="+", help="HOST:PORT of the TLS proxies' insides")
    parsed = parser.parse_args(arguments)
    watch(from_json(Runtime, parsed.runtime.read_bytes()), parsed.folder, parsed.insides)
    return 0


if __name__ == "__main__":
    sys.exit(main())
