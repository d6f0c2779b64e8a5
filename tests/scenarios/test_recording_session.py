"""What is true of every recording session: who may begin one, and where its packets come from."""

import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from siprec_srs.rtcp import write_report
from tests.scenarios.capture import Capture
from tests.scenarios.phone import Phone, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.srs import ReferenceSrs, Session
from tests.scenarios.stage import Stage
from tests.scenarios.talk import Talk
from tests.scenarios.test_srs_faults import begin
from tests.scenarios.wire import Address

pytestmark = pytest.mark.daemon


@pytest.mark.parametrize("option", ["siprec", None])
@pytest.mark.parametrize("feature", [";+sip.srs", ""])
def test_session_that_an_srs_wants_to_begin_is_refused(
    stage: Stage, option: str | None, feature: str
) -> None:
    src = f"127.0.0.1:{stage.stack.src_port}"
    calls = len(stage.stack.store.calls(live_only=False))
    with Phone("srs", ("127.0.0.1", stage.stack.src_port)) as srs:
        srs.target = f"sip:siprec@{src}"
        srs.remote = f"<{srs.target}>"
        required = [("Require", option)] if option else []
        invite = srs.compose("INVITE", sdp=srs.sdp(), headers=required)
        headers = [(n, v + feature if n == "Contact" else v) for n, v in invite.headers]
        srs.send(replace(invite, headers=tuple(headers)))
        refused = srs.expect(405)
        assert "INVITE" in refused.one("Allow")
    assert len(stage.stack.store.calls(live_only=False)) == calls


# Packets


def test_media_and_reports_leave_from_the_ports_of_the_offer(stage: Stage, tmp_path: Path) -> None:
    first, last = stage.stack.ports.take_range(8)
    srs, start = stage.recorder("--rtp-ports", f"{first}-{last}")
    with Capture(tmp_path, range(first, last + 1)) as capture:
        caller, callee = begin(stage, start)
        with Talk(caller, callee) as talking:
            stream = stage.wait_recording(caller)
            # The SRS sends its first reports after a second.
            poll(lambda: is_heard(srs, stream.sid, 2.5), 30, why=lambda: str(srs.sessions()))
            report(caller)
            report(callee)
            talking.go_on()
        hang_up(caller, callee)
        session = stage.wait_recorded(caller, srs=srs)
    ours = offered(session)
    expected = set()
    for track in session.tracks:
        port = int(track.summary["port"])
        rtp, rtcp = ours[track.label]
        expected |= {(rtp, port), (rtcp, port + 1), (port + 1, rtcp)}
    assert {(each.source[1], each.target[1]) for each in capture.packets} == expected
    assert [track.summary["ssrcs"] for track in session.tracks] == [["0000000a"], ["0000000b"]]


def is_heard(srs: ReferenceSrs, stream_sid: str, seconds: float) -> bool:
    """Tell whether the SRS has so much sound of both parties."""
    session = srs.session_of(stream_sid)
    return session is not None and all(t.seconds_so_far >= seconds for t in session.tracks)


def offered(session: Session) -> dict[str, tuple[int, int]]:
    """Give the ports for RTP and RTCP of each label in the first offer."""
    text = (session.folder / "sdp-offer.sdp").read_text()
    found = {}
    for line in text.split("m=audio ")[1:]:
        label, rtcp = (re.search(rf"^a={name}:(\d+)", line, re.M) for name in ("label", "rtcp"))
        assert label
        assert rtcp
        found[label[1]] = int(line.split()[0]), int(rtcp[1])
    return found


def report(phone: Phone) -> None:
    """Send a report of RTCP from a phone, as it does with its voice every few seconds."""
    host, port = phone.remote_media
    to: Address = (host, port + 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(write_report(1, phone.name, [], 0.0), to)
