"""The outbox: SIP workers throw reports in, one process appends them to Redis.

A report is one non-blocking UDP datagram on loopback (a unix datagram socket queues only 10).
While Redis is away reports wait here, bounded; those that do not fit are counted and alerted.
"""

import socket
import struct
from collections import deque

from siprec.inbox import Entry, ReportsDropped, to_fields
from siprec.keys import ShardKeys
from siprec.pipe import Command, Pipe
from siprec.sids import SHARDS
from siprec.store import Client, StoreUnavailable, connect, redis_errors
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s, now_ms
from siprec_kemi.loopback import open_receiver, open_sender

RECEIVE_BYTES = 16 * 1024 * 1024
REPORT_BYTES = 65_000
KEPT = 100_000
KEPT_BYTES = 128 * 1024 * 1024
BATCH = 256
REDIS_TIMEOUT_S = 0.25
RETRY_S = 0.2

_SO_RXQ_OVFL = 40  # not in Python's socket module; counts what the kernel dropped
_DROPS = struct.Struct("I")

Item = tuple[int, str, str, int]  # shard, kind, data, bytes


class OutboxFull(RuntimeError):
    """The report could not be handed to the outbox."""


class Outbox:
    """Both ends. Made before Kamailio forks, so that every worker knows the port."""

    def __init__(self) -> None:
        self._receiver = open_receiver(RECEIVE_BYTES)
        self._receiver.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        self._sender = open_sender()
        self._sender.connect(self._receiver.getsockname())

    def put(self, shard: int, entry: Entry) -> None:
        """Hand a report over without waiting.

        Raises:
            OutboxFull: it is too long for a datagram, or the socket is full.
        """
        fields = to_fields(entry)
        datagram = f"{shard:02x} {fields['t']} {fields['d']}".encode("utf-8", "replace")
        if len(datagram) > REPORT_BYTES:
            raise OutboxFull(f"a report of {len(datagram)} bytes is too long")
        try:
            self._sender.send(datagram)
        except OSError as error:
            raise OutboxFull(str(error)) from error

    def serve(self, redis_url: str, prefix: str, node: str) -> None:
        """Append reports to Redis, for ever. Runs in a process of its own."""
        self.drain(redis_url, prefix, node).run()

    def drain(self, redis_url: str, prefix: str, node: str) -> "Drain":
        """Give the end that appends reports to Redis, for the process that turns it."""
        client = connect(redis_url, timeout_s=REDIS_TIMEOUT_S)
        return Drain(self._receiver, client, prefix, node)


class Drain:
    """What waits, and its way to Redis."""

    def __init__(self, receiver: socket.socket, client: Client, prefix: str, node: str) -> None:
        self._receiver = receiver
        self._pipe = Pipe(client)
        self._prefix = prefix
        self._node = node
        self._waiting: deque[Item] = deque()
        self._waiting_bytes = 0
        self._dropped = 0
        self._kernel_drops = 0
        self._retry_at = 0.0

    def run(self) -> None:
        """Turn for ever."""
        while True:
            self.turn()

    def move_to(self, redis_url: str, prefix: str, node: str) -> None:
        """Take what waits, and all that comes, to another Redis."""
        self._pipe = Pipe(connect(redis_url, timeout_s=REDIS_TIMEOUT_S))
        self._prefix, self._node, self._retry_at = prefix, node, 0.0

    def turn(self) -> None:
        """Take what is there, or wait for it, and append it in one pipeline."""
        self._receive()
        if self._waiting and monotonic_s() >= self._retry_at:
            self._append()

    def _receive(self) -> None:
        # What waits for Redis must not wait for another report.
        pause_s = max(0.0, self._retry_at - monotonic_s())
        self._receiver.settimeout(pause_s if self._waiting else None)
        flags = 0
        for _ in range(BATCH):
            try:
                data, ancillary, _, _ = self._receiver.recvmsg(REPORT_BYTES + 1, 64, flags)
            except (BlockingIOError, TimeoutError):
                return
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                    self._note_kernel_drops(_DROPS.unpack_from(value)[0])
            self._take(data)
            flags = socket.MSG_DONTWAIT

    def _note_kernel_drops(self, total: int) -> None:
        self._dropped += (total - self._kernel_drops) & 0xFFFFFFFF
        self._kernel_drops = total

    def _take(self, data: bytes) -> None:
        if len(self._waiting) >= KEPT or self._waiting_bytes + len(data) > KEPT_BYTES:
            self._dropped += 1
            return
        try:
            shard, kind, text = data.decode().split(" ", 2)
            item = (int(shard, 16) % SHARDS, kind, text, len(data))
        except ValueError:
            ksr.log("warning", f"outbox: {len(data)} bytes that are no report")
            return
        self._waiting.append(item)
        self._waiting_bytes += len(data)

    def _append(self) -> None:
        batch = [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]
        commands = [self._xadd(shard, kind, text) for shard, kind, text, _ in batch]
        if self._dropped:
            lost = ReportsDropped(node=self._node, count=self._dropped, at_ms=now_ms())
            fields = to_fields(lost)
            commands.append(self._xadd(0, fields["t"], fields["d"]))
        try:
            with redis_errors():
                self._pipe.run(commands)
        except StoreUnavailable as error:
            self._retry_at = monotonic_s() + RETRY_S
            ksr.log("warning", f"outbox: {len(self._waiting)} reports wait: {error}")
            return
        if self._dropped:
            ksr.log("error", f"outbox: {self._dropped} reports were dropped")
            self._dropped = 0
        for _ in batch:
            self._waiting_bytes -= self._waiting.popleft()[3]

    def _xadd(self, shard: int, kind: str, text: str) -> Command:
        return ("XADD", ShardKeys(self._prefix, shard).inbox, "*", "t", kind, "d", text)
