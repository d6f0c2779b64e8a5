"""Names that are looked up: in time or not at all, whatever the name server does."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from siprec_web import lookup
from siprec_web.lookup import addresses_of

# In a network and a view of /etc of its own: the name server takes queries, and says nothing.
DEAF = """
import json, socket, sys, time
from siprec_web.errors import FetchTimeout
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard
from siprec_web.overrides import Overrides

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
told = []
for overrides in (Overrides(connect_ms=300, retries=0), Overrides(total_ms=300)):
    began = time.monotonic()
    try:
        Fetcher(Guard()).fetch("GET", "http://name.example/", overrides=overrides)
    except FetchTimeout as error:
        told.append((error.kind, time.monotonic() - began))
server.setblocking(False)
print(json.dumps([told, b"name" in server.recv(512)]))
"""


def test_numbers_are_what_they_are() -> None:
    assert addresses_of("127.0.0.1", 80, 0.0) == ["127.0.0.1"]
    assert addresses_of("::1", 80, 0.0) == ["::1"]


def test_name_of_this_machine_is_found_and_what_is_no_name_is_not() -> None:
    assert "127.0.0.1" in addresses_of("localhost", 80, 10)
    with pytest.raises((OSError, UnicodeError)):
        addresses_of("a..b", 80, 10)


def test_one_more_lookup_than_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_places", threading.BoundedSemaphore(1))
    lookup._places.acquire()
    with pytest.raises(TimeoutError, match="too many"):
        addresses_of("localhost", 80, 10)
    lookup._places.release()
    assert addresses_of("localhost", 80, 10)
    # Each gives its place back.
    assert addresses_of("localhost", 80, 10)


@pytest.mark.alone
def test_deaf_name_server_takes_no_longer_than_the_url_says(tmp_path: Path) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    (tmp_path / "deaf.py").write_text(DEAF)
    script = (
        f"mount --bind {resolv} /etc/resolv.conf && ip link set lo up"
        f" && exec {sys.executable} {tmp_path / 'deaf.py'}"
    )
    own = ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    done = subprocess.run(
        [*own, "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    told, was_asked = json.loads(done.stdout)
    assert was_asked
    assert [kind for kind, _ in told] == ["connect", "total"]
    # The system's own patience is 5 s and more, twice.
    assert all(0.3 <= took < 5 for _, took in told)
