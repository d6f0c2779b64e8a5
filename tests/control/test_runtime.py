"""What `siprec run` decides and keeps."""

import json
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.record import from_json
from siprec.settings import (
    AccountSettings,
    EdgeSettings,
    RedisSettings,
    RtpengineSettings,
    Runtime,
    Settings,
    SipSettings,
    SrcSettings,
)
from siprec_control.errors import StateError
from siprec_control.runtime import resolve, resolve_account
from siprec_control.state import StateFolder

SID = "AC" + "0" * 32


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    state = StateFolder(tmp_path)
    yield state
    state.remove_folders()


def test_open_settings_are_resolved_and_written(state: StateFolder) -> None:
    plan = resolve(Settings(), state)
    settings = plan.runtime.settings
    assert plan.redis_socket is not None
    urls = (settings.redis.url, settings.redis.proxy_url, settings.redis.controller_url)
    users = ("siprec-control", "siprec-proxy", "siprec-controller")
    for url, user in zip(urls, users, strict=True):
        assert re.fullmatch(f"unix://{user}:[0-9a-f]{{48}}@{plan.redis_socket}", url or "")
    assert len(set(urls)) == 3
    assert plan.embeds_rtpengine
    (address,) = settings.rtpengine.ng
    assert address.startswith("127.0.0.1:")
    assert settings.account.sid is not None
    assert settings.account.sid.startswith("AC")
    assert len(bytes.fromhex(plan.runtime.route_key)) == 32
    assert plan.runtime.node
    assert from_json(Runtime, state.runtime.read_text()) == plan.runtime


def test_what_is_set_is_not_embedded(state: StateFolder) -> None:
    settings = Settings(
        src=SrcSettings(listen=("udp:127.0.0.1:5070",)),
        redis=RedisSettings(url="redis://127.0.0.1:1/0"),
        rtpengine=RtpengineSettings(ng=("127.0.0.1:2",)),
        account=AccountSettings(sid=SID),
    )
    plan = resolve(settings, state)
    assert plan.redis_socket is None
    assert not plan.embeds_rtpengine
    assert plan.tls is None
    assert plan.runtime.settings == settings


def test_account_and_key_are_kept_over_restarts(state: StateFolder) -> None:
    first, second = resolve(Settings(), state), resolve(Settings(), state)
    assert first.runtime.route_key == second.runtime.route_key
    assert first.runtime.settings.account == second.runtime.settings.account
    assert resolve_account(Settings(), state) == resolve_account(Settings(), state)
    for file in (state.account, state.route_key, state.runtime):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_token_is_in_neither_runtime_nor_environment(state: StateFolder) -> None:
    resolve(Settings(), state)
    token = json.loads(state.account.read_text())["token"]
    assert token not in state.runtime.read_text()


def test_token_file_is_read_or_made(state: StateFolder, tmp_path: Path) -> None:
    file = tmp_path / "token"
    settings = Settings(account=AccountSettings(sid=SID, token_file=str(file)))
    made = resolve_account(settings, state)
    assert file.read_text().strip() == made.token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("mine\nnote\n")
    assert resolve_account(settings, state).token == "mine"


def test_configured_sid_takes_the_place_of_the_made_one(state: StateFolder) -> None:
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
    state: StateFolder, tmp_path: Path, name: str, text: str, why: str
) -> None:
    (tmp_path / name).write_text(text, errors="surrogateescape")
    with pytest.raises(StateError, match=f"{name}: {why}"):
        resolve(Settings(), state)
    assert (tmp_path / name).read_text(errors="surrogateescape") == text


def test_tls_proxies_are_told_to_both_roles(state: StateFolder) -> None:
    settings = Settings(
        sip=SipSettings(
            listen=("udp:127.0.0.1:5060", "tls:127.0.0.1:5061"), allow=("192.0.2.0/24",)
        ),
        src=SrcSettings(listen=("tls:127.0.0.1:5071", "tls:[::1]:5071"), advertise="src.example"),
        edges=(EdgeSettings(name="ash", listen=("tls:127.0.0.3:5071",)),),
    )
    plan = resolve(settings, state)
    runtime = plan.runtime
    assert [(proxy.edge, proxy.listen, proxy.shown) for proxy in runtime.tls_proxies] == [
        (None, "tls:127.0.0.1:5071", "src.example:5071"),
        (None, "tls:[::1]:5071", "src.example:5071"),
        ("ash", "tls:127.0.0.3:5071", "127.0.0.3:5071"),
    ]
    assert plan.tls is not None
    places = {*plan.tls.insides, runtime.src_inside, runtime.sip_inside}
    assert len(places) == 6
    assert runtime.tls_loaded == str(plan.tls.folder / "loaded")
    # What comes out of the TLS proxy was let in there.
    assert runtime.settings.sip.allow == ("192.0.2.0/24", "127.0.0.1/32")
    assert plan.tls.callers == ("192.0.2.0/24",)
    assert runtime.settings.tls.certificate == str(state.tls)


def test_calls_over_tls_only_where_asked_for(state: StateFolder) -> None:
    runtime = resolve(Settings(), state).runtime
    assert runtime.sip_inside == ""
    assert runtime.src_inside
    assert runtime.settings.sip == Settings().sip
