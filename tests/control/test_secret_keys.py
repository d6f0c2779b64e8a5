"""Which key file a stack uses, and how it is changed."""

import os
import stat
import threading
from pathlib import Path

import pytest

from siprec.settings import SecretSettings, Settings
from siprec.vault import VARIABLE, new_key, read_keys
from siprec_control.errors import StateError
from siprec_control.runtime import resolve
from siprec_control.secret_keys import changing, make_key, resolve_key_file, write_keys
from siprec_control.state import StateFolder


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path)


def named(file: Path) -> Settings:
    return Settings(secrets=SecretSettings(key_file=str(file)))


def test_key_is_made_at_the_first_start_and_kept(state: StateFolder) -> None:
    file = Path(resolve_key_file(Settings(), state))
    assert file == state.path / "secret.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (key,) = read_keys(file)
    assert key.note.startswith("20")
    assert resolve_key_file(Settings(), state) == str(file)
    assert read_keys(file) == [key]


def test_variable_takes_the_place_of_the_file_and_the_setting_that_of_both(
    state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, new_key().text)
    assert resolve_key_file(Settings(), state) == ""
    assert not (state.path / "secret.key").exists()
    file = tmp_path / "mine"
    write_keys(file, [new_key()])
    assert resolve_key_file(named(file), state) == str(file)


def test_file_that_was_named_is_not_made(state: StateFolder, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="mine: No such file"):
        resolve_key_file(named(tmp_path / "mine"), state)
    assert not (tmp_path / "mine").exists()


def test_key_file_that_others_may_read_is_refused(state: StateFolder) -> None:
    file = Path(resolve_key_file(Settings(), state))
    file.chmod(0o644)
    with pytest.raises(StateError, match=r"has mode 0644, must have 0600: chmod 600 "):
        resolve_key_file(Settings(), state)


def test_variable_that_holds_no_key_is_refused(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "geheim")
    with pytest.raises(StateError, match="SIPREC_SECRET_KEYS: number 1 is not") as caught:
        resolve_key_file(Settings(), state)
    assert "geheim" not in str(caught.value)


def test_runtime_names_the_file_and_holds_no_key(state: StateFolder) -> None:
    runtime = resolve(Settings(), state).runtime
    assert runtime.secret_key_file == str(state.path / "secret.key")
    (key,) = read_keys(Path(runtime.secret_key_file))
    text = state.runtime.read_text()
    assert runtime.secret_key_file in text
    assert key.text not in text
    assert stat.S_IMODE(state.runtime.stat().st_mode) == 0o600
    state.remove_folders()


# Writing


def test_keys_are_written_newest_first_with_their_notes(tmp_path: Path) -> None:
    keys = [make_key(), new_key(), new_key("of the year before last")]
    write_keys(tmp_path / "k", keys)
    assert read_keys(tmp_path / "k") == keys
    assert os.listdir(tmp_path) == ["k"]


def test_keys_behind_a_link_are_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    real, link = tmp_path / "folder" / "k", tmp_path / "link"
    write_keys(real, [new_key()])
    link.symlink_to(real)
    keys = [new_key()]
    with changing(link):
        write_keys(link, keys)
    assert link.is_symlink()
    assert read_keys(real) == keys


def test_what_an_interrupted_write_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".k.new").write_text("half")
    keys = [new_key()]
    write_keys(tmp_path / "k", keys)
    assert read_keys(tmp_path / "k") == keys


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "k"
    with pytest.raises(StateError, match="nowhere/k: cannot be written: No such file"):
        write_keys(file, [new_key()])
    with pytest.raises(StateError, match="nowhere/k: No such file"), changing(file):
        pass


def test_two_who_change_the_keys_do_so_one_after_the_other(tmp_path: Path) -> None:
    file = tmp_path / "k"
    write_keys(file, [new_key()])

    def add_keys() -> None:
        for _ in range(10):
            with changing(file):
                write_keys(file, [new_key(), *read_keys(file)])

    threads = [threading.Thread(target=add_keys) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_keys(file)) == 21


def test_owner_of_the_file_stays_the_same(tmp_path: Path) -> None:
    file = tmp_path / "k"
    write_keys(file, [new_key()])
    # Only root may give a file to somebody else.
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file, *owner)
    write_keys(file, [new_key()])
    assert (file.stat().st_uid, file.stat().st_gid) == owner
