"""Media through real sockets: RTCP, packets after the end, codecs."""

import struct
import time

from tests.srs.conftest import StartSrs
from tests.srs.documents import COMPLETE, write_mixed
from tests.srs.src_client import SrcClient, ports_of, until

FRAME = bytes([0x10]) * 160


def test_packets_after_bye_are_counted(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        ports = ports_of(src.establish())
        seq, ts = src.play(0, ports[0], [FRAME] * 4)
        src.bye()
        over = time.monotonic()
        # One that was sent before may be overtaken.
        seq, ts = src.play(0, ports[0], [FRAME], seq=seq, ts=ts)
        for _ in until(5):
            if time.monotonic() > over + 0.1:
                break
        src.play(0, ports[0], [FRAME] * 3, seq=seq, ts=ts)
    label = srs.ended()["labels"]["1"]
    assert (label["packets"], label["packets_after_bye"]) == (8, 3)


def test_receiver_reports_go_to_the_offered_address(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        rtcp = src.media[0][1]
        line = f"a=rtcp:{rtcp.getsockname()[1]}\r\na=label:1\r\n"
        offer = src.sdp().replace("a=label:1\r\n", line)
        src.send(src.invite_request(body=write_mixed(offer, COMPLETE)))
        answer = src.response("INVITE")
        src.take_dialog(answer)
        src.ack(answer)
        port = ports_of(answer)[0]
        src.play(0, port, [FRAME] * 10)
        packet, sender = rtcp.recvfrom(1500)
        assert sender[1] == port + 1
        kind, ssrc, highest = packet[1], *struct.unpack_from("!I4xI", packet, 8)
        assert (kind, ssrc, highest) == (201, 0x1000, 109)
        src.bye()
    assert srs.ended()["labels"]["1"]["rtcp_reports"] == 1


def test_answer_prefers_the_first_offered_codec(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        offer = src.sdp().replace("RTP/AVP 0 8", "RTP/AVP 8 0")
        src.send(src.invite_request(sdp=offer))
        answer = src.response("INVITE")
        src.take_dialog(answer)
        src.ack(answer)
        assert b"RTP/AVP 8\r\na=rtpmap:8 PCMA/8000" in answer.body
        src.play(0, ports_of(answer)[0], [FRAME], kind=8)
        src.play(1, ports_of(answer)[1], [FRAME], kind=0)
        src.bye()
    summary = srs.ended()
    assert summary["labels"]["1"]["codec"] == "PCMA"
    assert summary["problems"] == ["packets with payload type 0, which was not negotiated"]


def test_counters_are_readable_while_recording(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        ports = ports_of(src.establish())
        for _ in until(10):
            src.play(0, ports[0], [FRAME])
            if srs.summary(lambda s: True)["labels"]["1"]["packets"]:
                break
        src.bye()
    assert srs.ended()["labels"]["2"]["first_packet"] is None
