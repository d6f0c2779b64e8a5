"""What `siprec run` decides and keeps."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.record import from_json
from siprec.settings import (
    AccountSettings,
    RedisSettings,
    RtpengineSettings,
    Runtime,
    Settings,
)
from siprec_control.errors import StateError
from siprec_control.runtime import resolve, resolve_account
from siprec_control.state import StateFolder

SID = "AC" + "0" * 32


def test_open_settings_are_resolved_and_written(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    plan = resolve(Settings(), state)
    settings = plan.runtime.settings
    assert plan.redis_socket is not None
    assert settings.redis.url == f"unix://{plan.redis_socket}"
    assert plan.embeds_rtpengine
    (address,) = settings.rtpengine.ng
    assert address.startswith("127.0.0.1:")
    assert settings.account.sid is not None
    assert settings.account.sid.startswith("AC")
    assert len(bytes.fromhex(plan.runtime.route_key)) == 32
    assert plan.runtime.node
    assert from_json(Runtime, state.runtime.read_text()) == plan.runtime
    state.remove_sockets()


def test_what_is_set_is_not_embedded(tmp_path: Path) -> None:
    settings = Settings(
        redis=RedisSettings(url="redis://127.0.0.1:1/0"),
        rtpengine=RtpengineSettings(ng=("127.0.0.1:2",)),
        account=AccountSettings(sid=SID),
    )
    plan = resolve(settings, StateFolder(tmp_path))
    assert plan.redis_socket is None
    assert not plan.embeds_rtpengine
    assert plan.runtime.settings == settings


def test_account_and_key_are_kept_over_restarts(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    first, second = resolve(Settings(), state), resolve(Settings(), state)
    assert first.runtime.route_key == second.runtime.route_key
    assert first.runtime.settings.account == second.runtime.settings.account
    assert resolve_account(Settings(), state) == resolve_account(Settings(), state)
    for file in (state.account, state.route_key, state.runtime):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_token_is_in_neither_runtime_nor_environment(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    resolve(Settings(), state)
    token = json.loads(state.account.read_text())["token"]
    assert token not in state.runtime.read_text()


def test_token_file_is_read_or_made(tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = Settings(account=AccountSettings(sid=SID, token_file=str(file)))
    made = resolve_account(settings, StateFolder(tmp_path))
    assert file.read_text().strip() == made.token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("mine\nnote\n")
    assert resolve_account(settings, StateFolder(tmp_path)).token == "mine"


def test_configured_sid_takes_the_place_of_the_made_one(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    made = resolve_account(Settings(), state)
    named = replace(Settings(), account=AccountSettings(sid=SID))
    account = resolve_account(named, state)
    assert (account.sid, account.token) == (SID, made.token)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("account.json", "nonsense", "is not an account"),
        ("account.json", '{"sid": "AC1", "token": "x"}', "is not an account"),
        ("account.json", "[]", "is not an account"),
        ("route_key", "short\n", "is not 64 hex digits"),
        ("route_key", "", "is empty"),
        ("route_key", "\udcff", "is not text"),
    ],
)
def test_broken_file_is_explained_and_left_alone(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    (tmp_path / name).write_text(text, errors="surrogateescape")
    with pytest.raises(StateError, match=f"{name}: {why}"):
        resolve(Settings(), StateFolder(tmp_path))
    assert (tmp_path / name).read_text(errors="surrogateescape") == text
