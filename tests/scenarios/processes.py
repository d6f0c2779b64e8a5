"""Processes as /proc shows them."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> set[int]:
    """List the processes below `pid`, at any depth, without it."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    todo = [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found.update(below)
        todo += below
    return found


def command_line(pid: int) -> str:
    """Give the command line of a process with spaces between the words; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    """Give the id of the parent process, 0 when the process is gone or a zombie."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state == "Z" else int(parent)


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; a zombie does not."""
    return parent_of(pid) != 0


def udp_ports_of(pid: int) -> set[int]:
    """List the local ports of a process's UDP sockets."""
    own: set[str] = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            own.add(str(link.readlink()))
    return {port for port, _, inode in _sockets("udp") if f"socket:[{inode}]" in own}


def is_bound(port: int, transport: str = "udp") -> bool:
    """Tell whether a UDP or (listening) TCP socket has that local port."""
    return any(
        found == port and (transport == "udp" or state == "0A")
        for found, state, _ in _sockets(transport)
    )


def _sockets(transport: str) -> Iterator[tuple[int, str, str]]:
    """Give local port, state and inode of every socket."""
    for name in (transport, f"{transport}6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            yield int(words[1].rpartition(":")[2], 16), words[3], words[9]


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            yield int(entry.name), parent_of(int(entry.name))
