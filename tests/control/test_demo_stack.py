"""The programs of the demo: waited for, explained when they fail, ended."""

import socket
from pathlib import Path

import pytest

from siprec_control.demo_stack import HOST, Process, Site, wait_for
from siprec_control.demo_voices import DemoFailed


def start(folder: Path, script: str) -> Process:
    return Process("the program", ["/bin/sh", "-c", script], folder / "out.log", folder)


def test_line_that_is_waited_for_comes_without_its_beginning(tmp_path: Path) -> None:
    process = start(tmp_path, "echo warming up; echo ready here; exec sleep 60")
    assert process.wait_line("ready ", 10) == "here"
    process.check()
    process.stop()
    with pytest.raises(DemoFailed, match=r"exit code -15"):
        process.check()


def test_program_that_ends_before_its_line_is_explained(tmp_path: Path) -> None:
    process = start(tmp_path, "echo no port >&2; exit 3")
    with pytest.raises(DemoFailed, match=r"exit code 3; see demo-output/logs/out\.log$"):
        process.wait_line("ready ", 10)
    assert (tmp_path / "out.log").read_text().endswith("\nno port\n")


def test_program_that_fails_or_does_not_end_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match="exit code 1"):
        start(tmp_path, "exit 1").wait_end(10)
    process = start(tmp_path, "exec sleep 60")
    with pytest.raises(DemoFailed, match="does not end"):
        process.wait_end(0.05)
    process.stop()


def test_program_that_is_missing_fails(tmp_path: Path) -> None:
    process = Process("the phone", ["/nowhere/sipp"], tmp_path / "out.log", tmp_path)
    with pytest.raises(DemoFailed, match="the phone ended"):
        process.wait_end(10)


def test_events_and_errors_are_kept_apart(tmp_path: Path) -> None:
    script = ["/bin/sh", "-c", "echo event; echo error >&2"]
    Process("it", script, tmp_path / "it.jsonl", tmp_path).wait_end(10)
    assert (tmp_path / "it.jsonl").read_text() == "event\n"
    assert (tmp_path / "it.log").read_text().splitlines()[1:] == ["error"]


def test_wait_without_an_answer_says_so() -> None:
    with pytest.raises(DemoFailed, match=r"^nothing \(waited 0\.05 s\)$"):
        wait_for(lambda: None, 0.05, "nothing")


def test_sites_have_ports_of_their_own(tmp_path: Path) -> None:
    one, two = Site(tmp_path / "one"), Site(tmp_path / "two")
    assert len({one.sip, one.src, one.src_tls, one.callee}) == 4
    one.stop()
    two.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, one.sip))


def test_site_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoFailed, match=r"Not a directory|File exists"):
        Site(tmp_path / "file" / "below")
