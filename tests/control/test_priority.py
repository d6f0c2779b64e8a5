"""Programs that nobody's call waits for give way to those that carry calls."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from siprec_control.priority import GIVES_WAY

AUTOGROUP = Path("/proc/self/autogroup")
SHOW = """
import os, pathlib
from siprec_control.priority import give_way
give_way()
give_way()
group = pathlib.Path("/proc/self/autogroup")
print(os.nice(0), group.read_text() if group.exists() else "")
"""


@pytest.mark.parametrize("is_leader", [True, False])
def test_process_takes_a_lower_priority_once_and_its_own_session_with_it(is_leader: bool) -> None:
    before = os.nice(0)
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        capture_output=True,
        text=True,
        start_new_session=is_leader,
        check=True,
    )
    priority, *group = done.stdout.split(maxsplit=1)
    assert int(priority) == max(before, GIVES_WAY)
    if group:
        found = re.search(r"nice (-?\d+)", group[0])
        assert found
        # A group that others belong to stays as it was.
        assert int(found[1]) == GIVES_WAY if is_leader else found[0] in AUTOGROUP.read_text()
