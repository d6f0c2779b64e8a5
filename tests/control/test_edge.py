"""`siprec edge list`, with a stack and without one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.settings import EdgeSettings, RtpengineSettings, Runtime, Settings
from siprec_control import cli
from siprec_control.state import locked, state_folder, write_runtime

CONFIG = """
[edges.ash]
listen = ["udp:192.0.2.3:5070"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIPREC_CONFIG", raising=False)
    monkeypatch.setenv("SIPREC_STATE", str(tmp_path / "state"))
    return tmp_path


def test_edges_without_a_stack_are_those_of_the_settings_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "siprec.toml").write_text(CONFIG)
    assert cli.main(["edge", "list"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "EDGE FOR TRANSPORT ADDRESS PORTS NOTE",
        "default sip udp 127.0.0.1 5070 -",
        "default sip tcp 127.0.0.1 5070 -",
        "default sip tls 127.0.0.1 5071 -",
        "default rtp udp 127.0.0.1 30000-39999 -",
        "ash sip udp 192.0.2.3 5070 -",
        "ash rtp udp 127.0.0.1 30000-39999 -",
    ]


@pytest.mark.parametrize("embeds", [True, False])
def test_edges_of_a_stack_are_those_it_was_started_with(
    folder: Path, capsys: pytest.CaptureFixture[str], *, embeds: bool
) -> None:
    (folder / "siprec.toml").write_text(CONFIG)
    settings = replace(
        Settings(edges=(EdgeSettings(name="eu", listen=("udp:192.0.2.4:5070",), media="::1"),)),
        rtpengine=RtpengineSettings(ng=("127.0.0.1:2223",)),
    )
    runtime = Runtime(settings=settings, node="here", route_key="00", embeds_rtpengine=embeds)
    state = state_folder(None)
    with locked(state):
        write_runtime(state, runtime)
        assert cli.main(["edge", "list", "--json"]) == 0
    *_, sip, rtp = json.loads(capsys.readouterr().out)
    assert (sip["edge"], sip["address"], sip["port_min"]) == ("eu", "192.0.2.4", 5070)
    assert rtp["address"] == ("::1" if embeds else None)
    assert rtp["port_max"] == (39999 if embeds else None)
    assert bool(rtp["note"]) is not embeds
