"""An outbox whose sockets a test may reach, read and close."""

import socket

from siprec.inbox import Entry, from_fields
from siprec_kemi.proxy.outbox import REPORT_BYTES, Outbox


class OpenOutbox(Outbox):
    """The outbox, open to tests."""

    @property
    def receiver(self) -> socket.socket:
        """Give the receiving end."""
        return self._receiver

    def throw(self, data: bytes) -> None:
        """Send a datagram that is no report of ours."""
        self._sender.send(data)

    def take(self) -> list[tuple[int, Entry]]:
        """Take the reports that are there, each with its shard."""
        self._receiver.setblocking(False)
        entries: list[tuple[int, Entry]] = []
        while True:
            try:
                data = self._receiver.recv(REPORT_BYTES)
            except BlockingIOError:
                return entries
            shard, kind, text = data.decode().split(" ", 2)
            entries.append((int(shard, 16), from_fields({"t": kind, "d": text})))

    def close(self) -> None:
        """Close both ends."""
        self._receiver.close()
        self._sender.close()
