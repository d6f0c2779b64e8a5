"""The state folder: its lock, its files, and where sockets are."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from siprec.settings import Runtime, Settings
from siprec_control.errors import NoStack, StateError
from siprec_control.state import (
    StateFolder,
    locked,
    read_runtime,
    state_folder,
    write_private,
    write_runtime,
)

RUNTIME = Runtime(settings=Settings(), node="here", route_key="00")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_is_named_by_option_then_variable_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIPREC_STATE", raising=False)
    assert state_folder(None).path == tmp_path / "siprec-state"
    monkeypatch.setenv("SIPREC_STATE", "other")
    assert state_folder(None).path == tmp_path / "other"
    assert state_folder("/x").path == Path("/x")


def test_second_run_on_one_folder_is_refused_and_names_the_first(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "s")
    with (
        locked(state),
        pytest.raises(StateError, match=rf"is in use by process {os.getpid()}$"),
        locked(state),
    ):
        pass
    with locked(state):
        pass


def test_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StateError, match="Not a directory"),
        locked(StateFolder(tmp_path / "file/s")),
    ):
        pass


def test_runtime_is_read_while_the_stack_runs_only(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "s")
    with pytest.raises(NoStack, match=r"no stack runs with state .*siprec run --state"):
        read_runtime(state)
    with locked(state):
        with pytest.raises(NoStack):
            read_runtime(state)
        write_runtime(state, RUNTIME)
        assert read_runtime(state) == RUNTIME
        assert mode(state.runtime) == 0o600
        assert mode(state.path) == 0o700
    # What a killed supervisor leaves.
    with pytest.raises(NoStack):
        read_runtime(state)


def test_broken_runtime_is_explained(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    with locked(state):
        state.runtime.write_text('{"node":"x"}')
        with pytest.raises(StateError, match=r"runtime\.json: settings: is missing"):
            read_runtime(state)


def test_private_file_is_replaced_whatever_a_crash_left(tmp_path: Path) -> None:
    file = tmp_path / "token"
    (tmp_path / ".token.new").write_text("half")
    write_private(file, "one")
    write_private(file, "two")
    assert file.read_text() == "two"
    assert os.listdir(tmp_path) == ["token"]


def test_sockets_are_in_the_folder_when_its_path_is_short() -> None:
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        state = StateFolder(Path(folder))
        assert state.sockets() == Path(folder) / "run"
        assert mode(state.sockets()) == 0o700
        state.remove_folders()
        assert not (Path(folder) / "run").exists()


def test_sockets_of_a_long_path_are_in_a_private_folder_that_is_remembered(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / ("long" * 30))
    with locked(state):
        folder = state.sockets()
        assert len(str(folder)) < 80
        assert mode(folder) == 0o700
        assert state.sockets() == folder
        folder.chmod(0o755)
        other = state.sockets()
        assert other != folder
        state.remove_folders()
        assert not other.exists()
    folder.rmdir()


def test_secrets_are_in_memory_and_gone_at_the_end(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    folder = state.secrets()
    assert folder.parent == Path("/dev/shm")
    assert mode(folder) == 0o700
    # A start after a crash finds what was left.
    assert StateFolder(tmp_path).secrets() == folder
    (folder / "key").write_text("secret")
    state.remove_folders()
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_secrets_folder_that_others_may_read_is_not_taken_again(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    first = state.secrets()
    first.chmod(0o755)
    assert state.secrets() != first
    first.rmdir()
    state.remove_folders()
