"""Sealing: what comes back, what is refused, and keys that change while the vault is in use."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec import vault as module
from siprec.settings import Runtime, Settings
from siprec.vault import VARIABLE, Key, Vault, VaultError, is_sealed, keys_in, new_key, read_keys

OLD, NEW = new_key("old"), new_key("new")


def write(file: Path, *keys: Key, mode: int = 0o600) -> Path:
    """Put a key file in the place of the one that may be there."""
    fresh = file.with_name("fresh")
    fresh.write_text("".join(f"{key.text}  # {key.note}\n" for key in keys))
    fresh.chmod(mode)
    fresh.replace(file)
    return file


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "secret.key", OLD)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(file: Path, clock: Clock) -> Vault:
    return Vault(file, clock)


def test_text_is_sealed_and_comes_back(vault: Vault) -> None:
    sealed = vault.seal("pässword")
    assert sealed.startswith(f"sealed:1:{OLD.name}:")
    assert "pässword" not in sealed
    assert is_sealed(sealed)
    assert not is_sealed("pässword")
    assert vault.unseal(sealed) == "pässword"


SHARED = Vault(None)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_comes_back(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, OLD.text)
        assert SHARED.unseal(SHARED.seal(text)) == text


def test_body_that_is_no_utf8_comes_back(vault: Vault) -> None:
    body = bytes(range(256)).decode("utf-8", "surrogateescape")
    assert vault.unseal(vault.seal(body)) == body


def test_same_text_is_encrypted_once(vault: Vault) -> None:
    assert vault.seal("a") == vault.seal("a")
    assert vault.seal("a") != vault.seal("b")


def test_tokens_kept_are_bounded(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOKENS_KEPT", 2)
    first, second = vault.seal("a"), vault.seal("b")
    assert vault.seal("a") == first
    vault.seal("c")
    assert vault.seal("a") == first
    assert vault.seal("b") != second
    long = "x" * (module.KEPT_CHARS + 1)
    assert vault.seal(long) != vault.seal(long)


# Keys that change


def test_new_key_of_the_file_seals_after_a_second(vault: Vault, file: Path, clock: Clock) -> None:
    before = vault.seal("a")
    write(file, NEW, OLD)
    clock.now_s += 0.9
    assert vault.seal("a") == before
    clock.now_s += 0.1
    after = vault.seal("a")
    assert keys_in(after) == {NEW.name}
    assert vault.unseal(before) == vault.unseal(after) == "a"


def test_key_of_another_process_is_read_at_once(vault: Vault, file: Path) -> None:
    vault.seal("a")
    write(file, NEW, OLD)
    assert vault.unseal(Vault(file).seal("b")) == "b"


def test_file_that_did_not_change_is_not_read_again(vault: Vault, file: Path, clock: Clock) -> None:
    before = vault.seal("a")
    clock.now_s += 5
    assert vault.seal("a") == before


@pytest.mark.parametrize("fault", ["gone", "readable", "empty"])
def test_file_that_breaks_leaves_the_known_keys_in_force(
    vault: Vault, file: Path, clock: Clock, fault: str
) -> None:
    before = vault.seal("a")
    match fault:
        case "gone":
            file.unlink()
        case "readable":
            write(file, NEW, mode=0o640)
        case _:
            write(file)
    clock.now_s += 5
    assert vault.seal("a") == before
    assert vault.unseal(before) == "a"


def test_key_dropped_from_the_file_is_named_and_the_text_is_not(
    vault: Vault, file: Path, clock: Clock
) -> None:
    sealed = vault.seal("my secret")
    write(file, NEW)
    clock.now_s += 5
    vault.seal("other")
    with pytest.raises(VaultError) as caught:
        vault.unseal(sealed)
    assert str(caught.value) == f"is sealed with key {OLD.name}, which is not in {file}"


def test_unsealing_first_reads_the_keys(vault: Vault, file: Path) -> None:
    assert Vault(file).unseal(vault.seal("a")) == "a"


def test_threads_share_a_vault(vault: Vault) -> None:
    sealed: list[tuple[str, str]] = []

    def work(name: str) -> None:
        texts = [f"{name}{n}" for n in range(200)]
        sealed.extend((text, vault.seal(text)) for text in texts)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sealed) == 800
    assert all(vault.unseal(token) == text for text, token in sealed)


# What is refused


@pytest.mark.parametrize("text", ["", "clear", "sealed:1:", "sealed:2:0badc0de:AAAA", "sealed:1:é"])
def test_what_is_not_sealed_is_refused(vault: Vault, text: str) -> None:
    with pytest.raises(VaultError, match="is not sealed"):
        vault.unseal(text)
    assert vault.unseal_or_nothing(text) == ""


def test_sealed_text_that_was_changed_is_refused(vault: Vault) -> None:
    sealed = vault.seal("a" * 100)
    changed = sealed[:60] + ("B" if sealed[60] == "A" else "A") + sealed[61:]
    with pytest.raises(VaultError, match=f"key {OLD.name}, but was changed"):
        vault.unseal(changed)
    assert vault.unseal_or_nothing(sealed) == "a" * 100


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700])
def test_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path / "secret.key", OLD, mode=mode)
    with pytest.raises(VaultError, match=f"has mode {mode:04o}, must have 0600: chmod 600 "):
        Vault(file).seal("a")


def test_key_file_that_its_owner_may_only_read_will_do(tmp_path: Path) -> None:
    file = write(tmp_path / "secret.key", OLD, mode=0o400)
    assert Vault(file).seal("a")


def test_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"secret\.key: No such file"):
        Vault(tmp_path / "secret.key").seal("a")
    with pytest.raises(VaultError, match="Is a directory"):
        read_keys(tmp_path)


@pytest.mark.parametrize(
    "line",
    ["short", OLD.text[:-2], OLD.text + "A", "é" * 44, OLD.text * 2],
    ids=["short", "cut", "longer", "not-ascii", "twice"],
)
def test_line_that_is_no_key_is_counted_and_not_quoted(file: Path, line: str) -> None:
    with file.open("a") as opened:
        opened.write(f"\n# a note\n{line}\n")
    with pytest.raises(VaultError) as caught:
        read_keys(file)
    assert str(caught.value) == f"{file}: number 4 is not 32 bytes in base64"


def test_no_keys_at_all_are_named_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(VaultError, match=r"^\$SIPREC_SECRET_KEYS: holds no key$"):
        Vault(None).seal("a")
    write(file)
    with pytest.raises(VaultError, match=r"secret\.key: holds no key$"):
        read_keys(file)


# Where the keys are


def test_keys_are_read_newest_first_with_their_notes(file: Path) -> None:
    write(file, NEW, OLD)
    assert read_keys(file) == [NEW, OLD]


def test_keys_of_the_variable_have_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{NEW.text}, {OLD.text},")
    assert read_keys(None) == [replace(NEW, note=""), replace(OLD, note="")]
    sealed = Vault(None).seal("a")
    assert keys_in(sealed) == {NEW.name}
    monkeypatch.setenv(VARIABLE, OLD.text)
    with pytest.raises(VaultError, match=rf"key {NEW.name}, which is not in \$SIPREC_SECRET_KEYS"):
        Vault(None).unseal(sealed)


def test_vault_of_a_stack_has_the_keys_of_its_runtime(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, NEW.text)
    runtime = Runtime(settings=Settings(), node="n", route_key="00")
    assert keys_in(Vault.from_runtime(runtime).seal("a")) == {NEW.name}
    runtime = replace(runtime, secret_key_file=str(file))
    assert keys_in(Vault.from_runtime(runtime).seal("a")) == {OLD.name}


def test_forked_process_uses_the_vault_of_its_parent(vault: Vault) -> None:
    sealed = vault.seal("a")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, vault.unseal(sealed).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"a"
    os.close(reader)
    os.close(writer)


def test_key_is_not_in_what_is_printed_of_it() -> None:
    assert OLD.text not in repr(OLD)
    assert new_key().text != new_key().text
    assert keys_in(f'{{"a":"sealed:1:{"0" * 8}:AA==","b":"sealed:1:{"1" * 8}:A"}}') == {
        "0" * 8,
        "1" * 8,
    }
