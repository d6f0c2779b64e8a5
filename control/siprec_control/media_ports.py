"""The claim of an embedded rtpengine on its RTP ports, against other stacks of this machine.

rtpengine binds a port that another rtpengine has without a word, and then one call's voice is
heard in the other's recording. So each `siprec run` holds a locked file that names its range;
the lock goes with the process, however it ends.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from siprec.record import RecordError, from_json, to_json
from siprec.settings import RtpengineSettings
from siprec_control.errors import StartError

QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a stack holds: RTP ports `low` to `high` on these interfaces."""

    pid: int
    low: int
    high: int
    interfaces: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name the file."""
        return f"{self.pid}.{self.low}"

    def clashes(self, other: "Claim") -> bool:
        """Tell whether two stacks would share a port."""
        together = self.low <= other.high and other.low <= self.high
        return together and bool(set(self.interfaces) & set(other.interfaces))


@contextmanager
def claimed(settings: RtpengineSettings, folder: Path | None = None) -> Iterator[None]:
    """Hold the RTP ports of an embedded rtpengine; of instances that run already, nothing.

    Raises:
        StartError: another stack of this machine has some of them.
    """
    if settings.ng:
        yield
        return
    # Behind `!` is what rtpengine shows instead of the address.
    interfaces = tuple(i.strip().partition("!")[0] for i in settings.interface.split(","))
    claim = Claim(
        pid=os.getpid(), low=settings.port_min, high=settings.port_max, interfaces=interfaces
    )
    folder = folder or Path(tempfile.gettempdir()) / "siprec-rtp-ports"
    try:
        held = _hold(folder, claim)
    except OSError as error:
        raise StartError(f"{error.filename or folder}: {error.strerror}") from error
    try:
        yield
    finally:
        # Unlinked while it is locked: nobody else can have taken it for stale.
        (folder / claim.name).unlink(missing_ok=True)
        os.close(held)


def _hold(folder: Path, claim: Claim) -> int:
    """Check the claims of others, and lock our own file; give its descriptor."""
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        # For stacks of every user, as the folder for temporary files itself.
        folder.chmod(0o1777)
    queue = _open(folder / QUEUE)
    try:
        fcntl.flock(queue, fcntl.LOCK_EX)
        for path in folder.iterdir():
            other = _live_claim(path) if path.name != QUEUE else None
            if other is not None and claim.clashes(other):
                raise StartError(
                    f"[rtpengine] port_min, port_max: {claim.low} to {claim.high} overlaps"
                    f" {other.low} to {other.high} of another stack (process {other.pid})"
                )
        held = _open(folder / claim.name)
        fcntl.flock(held, fcntl.LOCK_EX)
        os.ftruncate(held, 0)
        os.pwrite(held, to_json(claim).encode(), 0)
        return held
    finally:
        os.close(queue)


def _live_claim(path: Path) -> Claim | None:
    """Read the claim of a stack that runs; remove what a killed one left."""
    try:
        descriptor = _open(path)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(RecordError):
            return from_json(Claim, os.pread(descriptor, 4096, 0))
        return None
    else:
        with suppress(OSError):
            path.unlink()
        return None
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with suppress(PermissionError):
        os.fchmod(descriptor, 0o666)
    return descriptor
