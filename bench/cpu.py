"""CPU time of the stack's processes, by what they are: from /proc, before and after."""

import os
import resource
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

MS_PER_TICK = 1000 / os.sysconf("SC_CLK_TCK")
# A word of the command line tells what a process is; the first that fits counts.
GROUPS: Mapping[str, str] = {
    "ROLE_PROXY": "proxy",
    "ROLE_SRC": "src",
    "redis-server": "redis",
    "rtpengine": "rtpengine",
}
REST = "siprec run"


def cpu_ms(root_pid: int) -> Counter[str]:
    """Give the CPU time (user and system, ms) used so far by each group below `root_pid`."""
    total: Counter[str] = Counter(dict.fromkeys([*GROUPS.values(), REST], 0))
    for group, pids in groups(root_pid).items():
        total[group] += sum(round(used_ms(pid)) for pid in pids)
    return total


def groups(root_pid: int) -> dict[str, list[int]]:
    """Find the processes below `root_pid` (itself too), by group."""
    children = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children[int(fields[1])].append(int(entry.name))
    found = defaultdict(list)
    waiting = [root_pid]
    while waiting:
        pid = waiting.pop()
        found[_group(pid)].append(pid)
        waiting += children[pid]
    return found


def _group(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return REST
    return next((group for word, group in GROUPS.items() if word in line), REST)


def _stat(pid: int) -> list[str]:
    """Give the fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def used_ms(pid: int) -> float:
    """Give the CPU time (user and system, ms) that a process has used; 0 when it is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * MS_PER_TICK if fields else 0.0


def busy_ms() -> float:
    """Give the CPU time (ms) that all of the machine has used, on all its cores, so far."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, soft_irq, *_ = (int(word) for word in words)
    return (user + nice + system + irq + soft_irq) * MS_PER_TICK


def ours_ms() -> float:
    """Give the CPU time (ms) of this process and all below it, those that ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    pids = (pid for each in groups(os.getpid()).values() for pid in each)
    return sum(used_ms(pid) for pid in pids) + (ended.ru_utime + ended.ru_stime) * 1000
