"""Digits (RFC 4733) reach the callee and never the recorder."""

import pytest

from siprec.model import StreamState
from tests.scenarios.phone import Phone
from tests.scenarios.polling import poll
from tests.scenarios.rtp import Packet, speak
from tests.scenarios.sounds import FRAME_BYTES, frames
from tests.scenarios.studio import Studio

pytestmark = [pytest.mark.daemon, pytest.mark.usefixtures("no_errors")]

PCMA = 8
EVENT = 101
_VOICE = frames("dtmf", 60)


def voice(first: int, end: int) -> list[Packet]:
    """Give frames of the caller's voice."""
    return [
        Packet(PCMA, _VOICE[number * FRAME_BYTES : (number + 1) * FRAME_BYTES])
        for number in range(first, end)
    ]


def digit(event: int) -> list[Packet]:
    """Give the packets of one digit: five updates and the end three times (RFC 4733 §2.5)."""
    updates = [bytes([event, 10]) + (160 * n).to_bytes(2, "big") for n in range(1, 6)]
    end = bytes([event, 0x8A]) + (160 * 6).to_bytes(2, "big")
    payloads = [*updates, end, end, end]
    return [Packet(EVENT, load, 0 if n else 160) for n, load in enumerate(payloads)]


def with_events(sdp: str) -> str:
    """Add telephone-event to the audio line of an SDP."""
    return sdp.replace("RTP/AVP 8\r\n", f"RTP/AVP 8 {EVENT}\r\n").replace(
        "PCMA/8000\r\n", f"PCMA/8000\r\na=rtpmap:{EVENT} telephone-event/8000\r\n"
    )


def test_digits_reach_the_callee_and_not_the_recorder(studio: Studio) -> None:
    stack = studio.stack
    proxy = ("127.0.0.1", stack.sip_port)
    with Phone("alice", proxy) as alice, Phone("bob", proxy) as bob:
        start = '<Start><Siprec name="digits"/></Start>'
        stack.set_number("+16660001", start, f"<Dial><Sip>{bob.contact}</Sip></Dial>")
        alice.invite("+16660001", sdp=with_events(alice.sdp()))
        invite = bob.expect("INVITE")
        bob.reply(invite, 200, sdp=with_events(bob.sdp()))
        alice.ack(alice.expect(200))
        bob.expect("ACK")

        streams = poll(lambda: stack.store.streams(live_only=True))
        assert [stream.order.name for stream in streams] == ["digits"]
        sid = streams[0].sid
        poll(lambda: (s := stack.store.stream(sid)) and s.state is StreamState.RECORDING)

        said = [*voice(0, 20), *digit(5), *voice(20, 40), *digit(11), *voice(40, 60)]
        heard = speak(said, alice.rtp, alice.remote_media, bob.rtp)
        alice.request("BYE")
        bob.reply(bob.expect("BYE"), 200)
        alice.expect(200)

    events = [packet.payload for packet in said if packet.payload_type == EVENT]
    assert [payload for kind, payload in heard if kind == EVENT] == events
    assert [payload for kind, payload in heard if kind == PCMA] == [p.payload for p in voice(0, 60)]
    caller = studio.session(streams[0]).track("1")
    assert caller.payload_types == {PCMA: 60}
    assert caller.raw == _VOICE
