"""A capture of SIP on the loopback interface, by dumpcap, and what is in it."""

import re
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.stack import BenchError, wait_for_exit

START_S = 5.0
BUFFER_MIB = 64
_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MICROSECONDS, _NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
_ETHERNET, _IPV4, _TCP, _UDP = 1, 0x0800, 6, 17

# A message begins with its start line; in a TCP segment that may be anywhere.
_START = re.compile(rb"(?:\A|(?<=\n))(?:SIP/2\.0 (\d{3}) |([A-Z]+) sips?:[^\s]+ SIP/2\.0\r\n)")
_CALL_ID = re.compile(rb"\nCall-ID:[ \t]*([^\s]+)", re.IGNORECASE)
_CSEQ = re.compile(rb"\nCSeq:[ \t]*\d+[ \t]+([A-Z]+)", re.IGNORECASE)
_PATH = re.compile(rb";sp=(CA[0-9a-f]{32})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A SIP message on the wire. `status` is 0 for a request; `call_sid` as Record-Route has it."""

    at_ns: int
    source_port: int
    target_port: int
    status: int
    method: str
    call_id: str
    call_sid: str


class Capture:
    """A running capture of some ports. Use it with `with`; read the file afterwards.

    `why_not` says why nothing is captured, and is empty when all is well.
    """

    def __init__(self, path: Path, ports: Sequence[int]) -> None:
        self._path = path
        self._filter = " or ".join(f"port {port}" for port in ports)
        self._process: subprocess.Popen[bytes] | None = None
        self.why_not = ""

    def __enter__(self) -> Self:
        program = shutil.which("dumpcap")
        if program is None:
            self.why_not = "dumpcap is not installed (make setup)"
            return self
        command = [program, "-P", "-q", "-i", "lo", "-f", self._filter, "-B", str(BUFFER_MIB)]
        self._process = subprocess.Popen(
            [*command, "-w", str(self._path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._await_start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=START_S)
        if self._process.returncode != 0 and not self.why_not:
            self.why_not = said.decode(errors="replace").strip()
        self._process = None

    def messages(self) -> Iterator[Message]:
        """Read the SIP messages that were captured, in order."""
        if not self.why_not:
            yield from read_messages(self._path.read_bytes())

    def _await_start(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        # dumpcap names its file when it has begun; without permission it ends.
        for line in self._process.stderr:
            if line.startswith(b"File:"):
                return
            if wait_for_exit(self._process.pid, 0):
                self.why_not = line.decode(errors="replace").strip()


def read_messages(data: bytes) -> Iterator[Message]:
    """Read the SIP messages of a pcap file of Ethernet frames with IPv4.

    Raises:
        BenchError: not such a file.
    """
    magic, *_, link = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (0, 0)
    if magic not in (_MICROSECONDS, _NANOSECONDS) or link != _ETHERNET:
        raise BenchError("the capture is not a pcap file of Ethernet frames")
    unit_ns = 1000 if magic == _MICROSECONDS else 1
    at = _HEADER.size
    while at + _RECORD.size <= len(data):
        seconds, fraction, length, _ = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        yield from _messages_in(
            data[at : at + length], seconds * 1_000_000_000 + fraction * unit_ns
        )
        at += length


def _messages_in(frame: bytes, at_ns: int) -> Iterator[Message]:
    if len(frame) < 34 or int.from_bytes(frame[12:14]) != _IPV4:
        return
    header = 14 + (frame[14] & 15) * 4
    if frame[23] == _UDP:
        payload = frame[header + 8 :]
    elif frame[23] == _TCP and len(frame) > header + 12:
        payload = frame[header + (frame[header + 12] >> 4) * 4 :]
    else:
        return
    source, target = struct.unpack_from(">HH", frame, header)
    for match in _START.finditer(payload):
        text = payload[match.start() : match.start() + 4096]
        call_id, cseq, path = _CALL_ID.search(text), _CSEQ.search(text), _PATH.search(text)
        if call_id and cseq:
            yield Message(
                at_ns=at_ns,
                source_port=source,
                target_port=target,
                status=int(match[1] or 0),
                method=cseq[1].decode(),
                call_id=call_id[1].decode(errors="replace"),
                call_sid=path[1].decode() if path else "",
            )
