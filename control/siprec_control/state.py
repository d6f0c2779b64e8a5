"""The state folder: what one stack keeps, and the lock that makes it one stack only."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from siprec.record import RecordError, from_json, to_json
from siprec.settings import Runtime
from siprec_control.errors import NoStack, StateError

DEFAULT_FOLDER = "siprec-state"

# A file system in memory, on every Linux.
_MEMORY = "/dev/shm"

# A path of a unix socket holds 107 bytes; the longest name below the folder is Kamailio's.
_MAX_SOCKET_FOLDER_BYTES = 80


class StateFolder:
    """Paths in the folder of one stack. Build it with `state_folder`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / "lock"
        self.runtime = path / "runtime.json"
        self.account = path / "account.json"
        self.route_key = path / "route_key"
        self.redis = path / "redis"
        self.redis_acl = path / "redis-users.acl"
        self.redis_passwords = path / "redis-passwords.json"
        self.tls = path / "tls.pem"
        self._sockets_note = path / "sockets"
        self._secrets_note = path / "secrets"

    def sockets(self) -> Path:
        """Give the folder of unix sockets and pid files, made when it is not there.

        It is in the state folder, or in the system's temporary folder when the path of a
        socket would be too long; the state folder remembers which.

        Raises:
            StateError: the folder cannot be made.
        """
        inside = self.path / "run"
        with _explained(self.path):
            if len(os.fsencode(inside)) <= _MAX_SOCKET_FOLDER_BYTES:
                inside.mkdir(mode=0o700, exist_ok=True)
                return inside
            return _remembered(self._sockets_note) or _make(self._sockets_note, None)

    def secrets(self) -> Path:
        """Give a folder for what must not be on a disk, mode 0700, made when it is not there.

        It is in memory where the system has room for that, else beside the sockets. The state
        folder remembers it, so that a start after a crash finds and later removes it.

        Raises:
            StateError: the folder cannot be made.
        """
        with _explained(self.path):
            if (remembered := _remembered(self._secrets_note)) is not None:
                return remembered
            runtime = os.environ.get("XDG_RUNTIME_DIR")
            for parent in filter(None, (_MEMORY, runtime)):
                if os.access(parent, os.W_OK | os.X_OK) and Path(parent).is_dir():
                    return _make(self._secrets_note, parent)
            return _make(self._secrets_note, str(self.sockets()))

    def remove_folders(self) -> None:
        """Remove what `sockets` and `secrets` gave, after the last process has ended."""
        for note in (self._secrets_note, self._sockets_note):
            if (remembered := _remembered(note)) is not None:
                shutil.rmtree(remembered, ignore_errors=True)
            note.unlink(missing_ok=True)
        shutil.rmtree(self.path / "run", ignore_errors=True)


def _make(note: Path, parent: str | None) -> Path:
    """Make a folder for us alone, and write down which."""
    folder = Path(tempfile.mkdtemp(prefix="siprec-", dir=parent))
    write_private(note, str(folder))
    return folder


def _remembered(note: Path) -> Path | None:
    try:
        folder = Path(note.read_text())
        status = folder.lstat()
    except OSError:
        return None
    # Another user may have taken the name since a reboot emptied the temporary folder.
    ours = folder.is_dir() and status.st_uid == os.geteuid() and status.st_mode & 0o777 == 0o700
    return folder if ours else None


def state_folder(named: str | None) -> StateFolder:
    """Give the state folder: `--state`, else $SIPREC_STATE, else ./siprec-state."""
    path = named or os.environ.get("SIPREC_STATE") or DEFAULT_FOLDER
    return StateFolder(Path(path).absolute())


@contextmanager
def locked(state: StateFolder) -> Iterator[None]:
    """Make the folder and hold it for one `siprec run`.

    Raises:
        StateError: another stack holds it, or it cannot be made.
    """
    with _explained(state.path):
        state.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _take(descriptor):
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            raise StateError(f"state {state.path} is in use by process {holder or 'unknown'}")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def read_runtime(state: StateFolder) -> Runtime:
    """Read what the running stack was started with; every command but `run` begins here.

    Raises:
        NoStack: nothing runs with this folder.
        StateError: the file is there and cannot be used.
    """
    if not _is_held(state):
        raise NoStack(state.path)
    try:
        return from_json(Runtime, state.runtime.read_bytes())
    except FileNotFoundError:
        raise NoStack(state.path) from None
    except OSError as error:
        raise StateError(f"{state.runtime}: {error.strerror}") from error
    except RecordError as error:
        raise StateError(f"{state.runtime}: {error}") from error


def write_runtime(state: StateFolder, runtime: Runtime) -> None:
    """Write runtime.json in one step; readers see the old or the new one.

    Raises:
        StateError: the folder cannot be written to.
    """
    write_private(state.runtime, to_json(runtime))


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 in one step.

    Raises:
        StateError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    with _explained(path):
        with suppress(FileNotFoundError):
            fresh.unlink()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(f"{error.filename or path}: {error.strerror}") from error


def _take(descriptor: int) -> bool:
    # A command that looks whether a stack runs holds the lock for some microseconds.
    for _ in range(20):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def _is_held(state: StateFolder) -> bool:
    try:
        descriptor = os.open(state.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StateError(f"{state.lock}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
