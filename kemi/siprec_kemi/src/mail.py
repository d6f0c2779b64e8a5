"""Datagrams from the SIP workers to the controllers of the same node."""

import contextlib
import socket

from siprec.inbox import SrsReplied
from siprec.record import RecordError, from_local_json, to_local_json
from siprec_kemi import ksr
from siprec_kemi.loopback import open_receiver

RECEIVE_BYTES = 8 * 1024 * 1024
LETTER_BYTES = 65_000

WAKE = b"wake"


def post(sender: socket.socket, port: int, reply: SrsReplied) -> bool:
    """Send a reply of the SRS to the controller at a loopback port; False when it cannot be."""
    letter = to_local_json(reply).encode("utf-8", "surrogateescape")
    if len(letter) > LETTER_BYTES:
        return False
    try:
        sender.sendto(letter, ("127.0.0.1", port))
    except OSError:
        return False
    return True


class Mailbox:
    """The receiving end, in a controller. `wake` may be called from any thread."""

    def __init__(self) -> None:
        self._socket = open_receiver(RECEIVE_BYTES)
        self._socket.setblocking(False)

    @property
    def port(self) -> int:
        """Give the loopback port."""
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        """Give the descriptor, for a selector."""
        return self._socket.fileno()

    def wake(self) -> None:
        """Make the controller take a turn."""
        with contextlib.suppress(OSError):
            self._socket.sendto(WAKE, self._socket.getsockname())

    def receive(self) -> list[SrsReplied]:
        """Take what is there."""
        letters: list[SrsReplied] = []
        while True:
            try:
                data = self._socket.recv(LETTER_BYTES + 1)
            except BlockingIOError:
                return letters
            if data == WAKE:
                continue
            try:
                text = data.decode("utf-8", "surrogateescape")
                letters.append(from_local_json(SrsReplied, text))
            except RecordError as error:
                ksr.log("warning", f"mail that is no reply of an SRS: {error}")
