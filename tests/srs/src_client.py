"""A tiny SIP client in the role of an SRC: blocking sockets, one dialog, no timers."""

import socket
import ssl
import struct
import time
import uuid
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from siprec_srs.message import Request, Response, StreamFramer, parse
from tests.srs.documents import BOUNDARY, COMPLETE, write_mixed, write_sdp

Message = Request | Response


class SrcClient:
    """Speaks to one SRS. Every wait ends after `timeout_s` with a TimeoutError.

    tls: makes the connection a TLS one. Raises: OSError when it cannot be made.
    """

    def __init__(
        self,
        srs: tuple[str, int],
        *,
        tcp: bool = False,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self.srs = srs
        self.tcp = tcp or tls is not None
        self.transport = "TLS" if tls is not None else "TCP" if tcp else "UDP"
        self.contact_uri = ""
        self.call_id = f"{uuid.uuid4().hex}@test"
        self.from_tag = uuid.uuid4().hex[:8]
        self.to_tag = ""
        self.cseq = 0
        self.branch = ""
        self.remote_target = f"sip:srs@{srs[0]}:{srs[1]}"
        self._framer = StreamFramer()
        self._ready: list[bytes] = []
        self.socket = _connect(srs, self.transport, timeout_s)
        if tls is not None:
            self.socket = _secure(self.socket, tls, srs[0])
        self.port = int(self.socket.getsockname()[1])
        self.media = [_media_socket() for _ in range(2)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()
        for rtp, rtcp in self.media:
            rtp.close()
            rtcp.close()

    # ----------------------------------------------------------------- wire

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self.tcp:
            self.socket.sendall(data)
        else:
            self.socket.sendto(data, self.srs)

    def receive(self) -> Message:
        """Return the next message. Raises: TimeoutError."""
        while not self._ready:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the SRS closed the connection")
            self._ready += self._framer.feed(data) if self.tcp else [data]
        return parse(self._ready.pop(0))

    def response(self, method: str = "", *, final: bool = True) -> Response:
        """Return the next response (to a method, a final one), dropping everything else."""
        while True:
            message = self.receive()
            if not isinstance(message, Response) or (final and message.status < 200):
                continue
            if method in ("", message.cseq[1]):
                return message

    def request(self, method: str) -> Request:
        """Return the next request of this method, dropping everything else."""
        while True:
            message = self.receive()
            if isinstance(message, Request) and message.method == method:
                return message

    # ----------------------------------------------------------------- requests

    def headers(self, method: str, cseq: int, branch: str) -> list[tuple[str, str]]:
        """Write the headers that every request has."""
        to = f"<sip:srs@127.0.0.1>{f';tag={self.to_tag}' if self.to_tag else ''}"
        return [
            ("Via", f"SIP/2.0/{self.transport} 127.0.0.1:{self.port};branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", f'"SRC" <sip:src@127.0.0.1>;tag={self.from_tag}'),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]

    @property
    def contact(self) -> str:
        """Return our Contact."""
        if self.contact_uri:
            return f"<{self.contact_uri}>;+sip.src"
        transport = f";transport={self.transport.lower()}" if self.tcp else ""
        return f"<sip:src@127.0.0.1:{self.port}{transport}>;+sip.src"

    def build(
        self,
        method: str,
        *,
        extra: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        without: Iterable[str] = (),
        cseq: int | None = None,
    ) -> Request:
        """Write a request with the next CSeq and a new branch."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        self.branch = f"z9hG4bK{uuid.uuid4().hex[:12]}"
        usual = self.headers(method, cseq, self.branch)
        headers = [header for header in usual if header[0] not in set(without)] + list(extra)
        uri = self.remote_target
        return Request(method=method, uri=uri, headers=tuple(headers), body=body)

    def invite_request(
        self,
        *,
        extra: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        without: Iterable[str] = (),
        sdp: str | None = None,
        metadata: str = COMPLETE,
    ) -> Request:
        """Write the INVITE of a correct SRC, changed as asked."""
        offer = sdp if sdp is not None else self.sdp()
        return self.build(
            "INVITE",
            extra=[
                ("Contact", self.contact),
                ("Require", "siprec"),
                ("User-Agent", "test-src"),
                ("Content-Type", f"multipart/mixed;boundary={BOUNDARY}"),
                *extra,
            ],
            body=write_mixed(offer, metadata) if body is None else body,
            without=without,
        )

    def sdp(
        self, *, version: int = 1, direction: str = "sendonly", more: tuple[int, ...] = ()
    ) -> str:
        """Offer our two media sockets, and `more` ports behind them."""
        ports = tuple(int(rtp.getsockname()[1]) for rtp, _ in self.media)
        return write_sdp((*ports, *more), version=version, direction=direction)

    def send(self, request: Request) -> Request:
        """Send a request and return it."""
        self.send_raw(request.encode())
        return request

    def ack(self, response: Response) -> None:
        """Acknowledge a 2xx."""
        self.send_raw(self.build("ACK", cseq=response.cseq[0]).encode())

    def take_dialog(self, response: Response) -> None:
        """Remember To tag and remote target."""
        self.to_tag = response.get("To").partition("tag=")[2]
        if response.get("Contact"):
            self.remote_target = response.get("Contact").partition("<")[2].partition(">")[0]

    def establish(self, *, extra: Iterable[tuple[str, str]] = ()) -> Response:
        """INVITE, 200, ACK."""
        self.send(self.invite_request(extra=extra))
        answer = self.response("INVITE")
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {answer.all('Warning')}")
        self.take_dialog(answer)
        self.ack(answer)
        return answer

    def change(
        self,
        method: str = "INVITE",
        *,
        sdp: str = "",
        metadata: str = "",
        extra: Iterable[tuple[str, str]] = (),
    ) -> Request:
        """Send a re-INVITE or an UPDATE."""
        kind, body = "", b""
        if sdp and metadata:
            kind, body = f"multipart/mixed;boundary={BOUNDARY}", write_mixed(sdp, metadata)
        elif sdp:
            kind, body = "application/sdp", sdp.encode()
        elif metadata:
            kind, body = "application/rs-metadata+xml", metadata.encode()
        headers = [("Contact", self.contact), *extra]
        if kind:
            headers.append(("Content-Type", kind))
        if metadata and not sdp:
            headers.append(("Content-Disposition", "recording-session"))
        return self.send(self.build(method, extra=headers, body=body))

    def changed(
        self,
        method: str = "INVITE",
        *,
        sdp: str = "",
        metadata: str = "",
        extra: Iterable[tuple[str, str]] = (),
    ) -> Response:
        """Send a re-INVITE or an UPDATE and see it through."""
        invite = self.change(method, sdp=sdp, metadata=metadata, extra=extra)
        answer = self.response(method)
        if method == "INVITE" and answer.status < 300:
            self.ack(answer)
        elif method == "INVITE":
            self.ack_refusal(invite, answer)
        return answer

    def ack_refusal(self, invite: Request, answer: Response) -> None:
        """Acknowledge what is no 2xx."""
        number, via = invite.cseq[0], [("Via", invite.get("Via"))]
        self.send(self.build("ACK", cseq=number, without=["Via"], extra=via))

    def accept(self, request: Request, sdp: str, extra: Iterable[tuple[str, str]] = ()) -> None:
        """Answer an INVITE or UPDATE of the SRS with 200."""
        headers = [("Contact", self.contact), *extra]
        if sdp:
            headers.append(("Content-Type", "application/sdp"))
        self.reply(request, 200, extra=headers, body=sdp.encode())

    def bye(self, *, extra: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Response:
        """End the dialog."""
        self.send(self.build("BYE", extra=extra, body=body))
        return self.response("BYE")

    def reply(
        self,
        request: Request,
        status: int,
        *,
        extra: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request of the SRS."""
        kept = [
            (name, value)
            for name, value in request.headers
            if name in ("Via", "From", "To", "Call-ID", "CSeq")
        ]
        response = Response(status=status, reason="X", headers=(*kept, *extra), body=body)
        self.send_raw(response.encode())

    # ----------------------------------------------------------------- media

    def play(
        self,
        index: int,
        port: int,
        payloads: Iterable[bytes],
        *,
        seq: int = 100,
        ts: int = 5000,
        ssrc: int = 0,
        kind: int = 0,
    ) -> tuple[int, int]:
        """Send RTP packets at once, without pacing; returns the next seq and timestamp."""
        rtp = self.media[index][0]
        for payload in payloads:
            head = struct.pack("!BBHII", 0x80, kind, seq & 0xFFFF, ts, ssrc or 0x1000 + index)
            rtp.sendto(head + payload, ("127.0.0.1", port))
            seq, ts = seq + 1, ts + len(payload)
        return seq, ts


def _connect(srs: tuple[str, int], transport: str, timeout_s: float) -> socket.socket:
    kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET, kind)
    made.settimeout(timeout_s)
    if transport == "UDP":
        made.bind(("127.0.0.1", 0))
    else:
        made.connect(srs)
    return made


def _secure(plain: socket.socket, tls: ssl.SSLContext, host: str) -> socket.socket:
    try:
        return tls.wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise


def _media_socket() -> tuple[socket.socket, socket.socket]:
    rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rtp.bind(("127.0.0.1", 0))
    rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # A test that looks at RTCP says where with a=rtcp; here only the pair is kept together.
    rtcp.bind(("127.0.0.1", 0))
    rtcp.settimeout(5)
    return rtp, rtcp


def ports_of(answer: Response) -> list[int]:
    """Return the ports of the m-lines of an answer."""
    lines = answer.body.decode().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("m=")]


def until(deadline_s: float, poll_s: float = 0.02) -> Iterable[None]:
    """Poll until a deadline: `for _ in until(5): if ready: break`."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        yield
        time.sleep(poll_s)
    raise TimeoutError(f"not within {deadline_s} s")
