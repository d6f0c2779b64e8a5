"""A supervisor over small programs, for tests: `python small_stack.py FOLDER JSON`.

JSON: {"stages": [{"NAME": [COMMAND…], …}, …], "marks": [FILE, …], "missing": WHY|null,
"ready_within_s": S}. A stage with a mark is ready when that file is in FOLDER; a `missing`
makes the first stage wait for a condition that never holds.
"""

import json
import sys
from functools import partial
from itertools import zip_longest
from pathlib import Path

from siprec.settings import LogFormat
from siprec_control.children import Program
from siprec_control.logs import LogWriter
from siprec_control.ready import Probe
from siprec_control.supervisor import Stage, Supervisor


def main() -> int:
    folder, plan = Path(sys.argv[1]), json.loads(sys.argv[2])

    def missing(mark: str | None) -> str | None:
        there = mark is None or (folder / mark).exists()
        return plan.get("missing") if there else f"no {mark}"

    stages = [
        Stage(
            programs=[Program(name=name, command=command) for name, command in stage.items()],
            probes=[Probe(name="thing", ask=partial(missing, mark))],
        )
        for stage, mark in zip_longest(plan["stages"], plan.get("marks", []))
    ]
    failure = Supervisor(
        stages,
        folder=folder,
        log=LogWriter(sys.stdout, LogFormat.TEXT),
        ready_line="ready now",
        ready_within_s=plan.get("ready_within_s", 20.0),
    ).run()
    print(f"ended: {failure}")
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
