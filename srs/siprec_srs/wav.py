"""Write 16-bit WAV files whose samples arrive in any order, and join mono ones."""

import contextlib
import os
import struct
from array import array
from pathlib import Path

RATE_HZ = 8000
_HEADER_BYTES = 44
_CHUNK_SAMPLES = 60 * RATE_HZ


def _header(channels: int, data_bytes: int) -> bytes:
    block = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + data_bytes,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        RATE_HZ,
        RATE_HZ * block,
        block,
        16,
        b"data",
        data_bytes,
    )


class WavWriter:
    """A mono WAV file. What is never written is silence. The file is valid after each flush."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self._pending = bytearray()
        self._pending_at = 0
        self.flush()

    def put(self, position: int, pcm: bytes) -> None:
        """Write samples at a position counted in samples from the start."""
        if position != self._pending_at + len(self._pending) // 2:
            self._write_pending()
            self._pending_at = position
        self._pending += pcm
        self.samples = max(self.samples, position + len(pcm) // 2)

    def _write_pending(self) -> None:
        if self._pending:
            os.pwrite(self._fd, self._pending, _HEADER_BYTES + 2 * self._pending_at)
            self._pending_at += len(self._pending) // 2
            self._pending.clear()

    def flush(self) -> None:
        """Put everything, and a header that is true, into the file."""
        self._write_pending()
        os.pwrite(self._fd, _header(1, 2 * self.samples), 0)

    def close(self) -> None:
        """Flush and close; harmless the second time."""
        if self._fd >= 0:
            self.flush()
            os.close(self._fd)
            self._fd = -1


def _samples(fd: int, start: int, count: int) -> "array[int]":
    """Read samples from a mono file; before its start and behind its end is silence."""
    first = max(0, start)
    wanted = start + count - first
    data = os.pread(fd, 2 * wanted, _HEADER_BYTES + 2 * first) if wanted > 0 else b""
    block = array("h", bytes(2 * min(count, first - start)))
    block.frombytes(data[: len(data) & ~1])
    block.extend([0] * (count - len(block)))
    return block


def join(path: Path, tracks: list[tuple[Path, int]]) -> None:
    """Write one file with a channel for each track.

    tracks: path of a mono file and how many samples after the common start it begins.
    """
    with contextlib.ExitStack() as stack:
        fds = [os.open(source, os.O_RDONLY) for source, _ in tracks]
        for fd in fds:
            stack.callback(os.close, fd)
        ends = [
            offset + (os.fstat(fd).st_size - _HEADER_BYTES) // 2
            for fd, (_, offset) in zip(fds, tracks, strict=True)
        ]
        length = max(ends, default=0)
        out = stack.enter_context(path.open("wb"))
        out.write(_header(len(tracks), 2 * len(tracks) * length))
        for start in range(0, length, _CHUNK_SAMPLES):
            count = min(_CHUNK_SAMPLES, length - start)
            mixed = array("h", bytes(2 * count * len(tracks)))
            for channel, (fd, (_, offset)) in enumerate(zip(fds, tracks, strict=True)):
                mixed[channel :: len(tracks)] = _samples(fd, start - offset, count)
            out.write(mixed.tobytes())
