"""An RTP sender and a listener over the sockets of two phones, packet by packet."""

import select
import socket
import time
from dataclasses import dataclass

PACKET_S = 0.02
FRAME_TICKS = 160


@dataclass(frozen=True, slots=True)
class Packet:
    """What a packet carries: payload type, payload, and how far its timestamp is ahead.

    `ticks` is 0 for a packet that shares the timestamp of the one before it.
    """

    payload_type: int
    payload: bytes
    ticks: int = FRAME_TICKS


def speak(
    packets: list[Packet], sender: socket.socket, to: tuple[str, int], listener: socket.socket
) -> list[tuple[int, bytes]]:
    """Send packets, one every 20 ms, and give type and payload of all that `listener` gets.

    It listens for a fifth of a second after the last one; the order is that of arrival.
    """
    heard: list[tuple[int, bytes]] = []
    due, timestamp = time.monotonic(), 0
    for number, packet in enumerate(packets):
        timestamp += packet.ticks
        head = bytes([0x80, packet.payload_type]) + number.to_bytes(2, "big")
        head += timestamp.to_bytes(4, "big") + b"DTMF"
        sender.sendto(head + packet.payload, to)
        due += PACKET_S
        _listen(listener, due, heard)
    _listen(listener, due + 0.2, heard)
    return heard


def _listen(listener: socket.socket, until: float, heard: list[tuple[int, bytes]]) -> None:
    while (left_s := until - time.monotonic()) > 0:
        if select.select([listener], [], [], left_s)[0]:
            data = listener.recv(2048)
            if not 200 <= data[1] <= 207:  # RTCP
                heard.append((data[1] & 0x7F, data[12:]))
