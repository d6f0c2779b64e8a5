"""Two stacks never share RTP ports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from siprec.settings import RtpengineSettings
from siprec_control.errors import StartError
from siprec_control.media_ports import Claim, claimed

HOLDER = """
import sys
from pathlib import Path
from siprec.settings import RtpengineSettings
from siprec_control.media_ports import claimed
low, high = int(sys.argv[2]), int(sys.argv[3])
with claimed(RtpengineSettings(port_min=low, port_max=high), Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def ports(low: int, high: int, interface: str = "127.0.0.1") -> RtpengineSettings:
    return RtpengineSettings(port_min=low, port_max=high, interface=interface)


def hold(folder: Path, low: int, high: int) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(low), str(high)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    return holder


def end(holder: subprocess.Popen[str], *, kill: bool = False) -> None:
    if kill:
        holder.kill()
    holder.communicate()


@pytest.mark.parametrize("wanted", [(3000, 3999), (3999, 5000), (2000, 3000), (3100, 3200)])
def test_range_that_overlaps_another_stacks_is_refused(
    tmp_path: Path, wanted: tuple[int, int]
) -> None:
    holder = hold(tmp_path, 3000, 3999)
    with pytest.raises(StartError) as refused, claimed(ports(*wanted), tmp_path):
        pass
    end(holder)
    assert str(refused.value) == (
        f"[rtpengine] port_min, port_max: {wanted[0]} to {wanted[1]} overlaps"
        f" 3000 to 3999 of another stack (process {holder.pid})"
    )


def test_ranges_that_are_apart_are_taken(tmp_path: Path) -> None:
    holder = hold(tmp_path, 3000, 3999)
    with claimed(ports(4000, 4999), tmp_path), claimed(ports(3000, 3999, "::1"), tmp_path):
        assert (tmp_path / f"{os.getpid()}.4000").exists()
    end(holder)
    assert [path.name for path in tmp_path.iterdir()] == ["queue"]


@pytest.mark.parametrize("kill", [False, True])
def test_range_of_a_stack_that_ended_is_free(tmp_path: Path, kill: bool) -> None:
    end(hold(tmp_path, 3000, 3999), kill=kill)
    with claimed(ports(3000, 3999), tmp_path):
        names = {path.name for path in tmp_path.iterdir()}
    assert names == {"queue", f"{os.getpid()}.3000"}


def test_rtpengines_of_the_operator_are_not_ours_to_claim(tmp_path: Path) -> None:
    with claimed(RtpengineSettings(ng=("127.0.0.1:2223",)), tmp_path):
        assert not list(tmp_path.iterdir())


def test_folder_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="file"), claimed(ports(1, 2), tmp_path / "file"):
        pass


def test_several_interfaces_clash_when_one_is_shared() -> None:
    one = Claim(pid=1, low=1, high=9, interfaces=("127.0.0.1", "::1"))
    assert one.clashes(Claim(pid=2, low=9, high=20, interfaces=("::1",)))
    assert not one.clashes(Claim(pid=2, low=9, high=20, interfaces=("127.0.0.2",)))
