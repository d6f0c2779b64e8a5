"""`make demo`, as a person runs it."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from siprec_control.demo_voices import read_wav
from tests.control.processes import Watched, is_alive, wait_until

# Alone: the commands during the call must not come after its end.
pytestmark = [pytest.mark.daemon, pytest.mark.alone]

FILES = """
    caller-only/1.wav caller-only/metadata-001.xml caller-only/summary.json
    logs/callee.log logs/caller.log logs/recorder.jsonl logs/siprec-run.log
    sent/callee.wav sent/caller.wav timeline.txt
    whole-call/1.wav whole-call/2.wav whole-call/metadata-001.xml whole-call/stereo.wav
    whole-call/summary.json
"""


def demo(folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Watched:
    """Start the demo in `folder`."""
    monkeypatch.chdir(folder)
    for name in ("KEEP", "DEMO_DIR", "SIPREC_CONFIG", "SIPREC_STATE", "SIPREC_HOME"):
        monkeypatch.delenv(name, raising=False)
    return Watched([sys.executable, "-m", "siprec_control.demo"], environment)


def test_demo_records_what_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with demo(tmp_path, monkeypatch) as run:
        assert run.wait_exit(60) == 0, run.output
    assert "FAILED" not in run.output
    assert re.search(r"\d s  stream caller-only  IS RECORDING Ann's voice\n", run.output)
    assert re.search(r"over TLSv1\.[23] \(certificate checked: ca/ca\.pem ", run.output)
    assert re.search(r"\d packets of SRTP \(AES_CM_\w+\), 0 not genuine, 0 in clear", run.output)
    assert re.search(r"stereo\.wav right holds Bob's voice .*Bob (1\.0|0\.99)", run.output)
    assert run.output.splitlines()[-1].startswith("demo: everything is as it should be, after ")
    output = tmp_path / "demo-output"
    for name in FILES.split():
        assert (output / name).stat().st_size > 0, name
        if not name.startswith("logs/"):
            assert f"  demo-output/{name}\n" in run.output
    assert len(read_wav(output / "whole-call" / "stereo.wav")) == 2
    assert json.loads((output / "whole-call" / "summary.json").read_text())["state"] == "ended"


def test_demo_that_is_kept_stays_until_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    with demo(tmp_path, monkeypatch, KEEP="1", DEMO_DIR=str(folder)) as run:
        run.wait_for("Recordings:", within_s=60)
        stack = int((folder / "state" / "lock").read_text())
        assert is_alive(stack)
        assert f"siprec call list --all --state {folder}/state" in run.output
        assert "siprec stream start CALL --connector Secure " in run.output
        run.signal(signal.SIGINT)
        assert run.wait_exit() == 0, run.output
        wait_until(lambda: not is_alive(stack))
    assert (folder / "recordings").is_dir()


def test_demo_that_is_ended_ends_its_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ended"
    with demo(tmp_path, monkeypatch, DEMO_DIR=str(folder)) as run:
        run.wait_for("Ann talks with Bob", within_s=60)
        stack = int((folder / "state" / "lock").read_text())
        run.signal(signal.SIGTERM)
        assert run.wait_exit() == 130, run.output
        assert not is_alive(stack)
    assert (tmp_path / "demo-output" / "logs" / "siprec-run.log").stat().st_size > 0


def test_demo_in_a_folder_that_is_not_empty_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_text("precious")
    with demo(tmp_path, monkeypatch, DEMO_DIR=str(tmp_path)) as run:
        assert run.wait_exit() == 1
    assert f"demo: FAILED: {tmp_path} is not empty\n" in run.output
    assert (tmp_path / "mine").read_text() == "precious"


def test_demo_without_the_project_fails_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with demo(tmp_path, monkeypatch, SIPREC_HOME=os.fspath(home)) as run:
        assert run.wait_exit() == 1
    assert run.output.splitlines()[-1].startswith(f"demo: FAILED: no kamailio.cfg in {home}")
