"""A phone driven step by step by a test: what SIPp cannot do, such as wrong tags or a NAT.

A phone has one dialog at a time. Retransmissions are not repeated to the test, 100 is passed
over unless it is asked for, and nothing is sent that the test did not ask for.
"""

import socket
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self
from uuid import uuid4

from tests.scenarios.sip_text import Header, Message, copied, in_brackets, parse
from tests.scenarios.wire import Address, TcpWire, UdpWire, Wire, family_of

WITHIN_S = 5.0


class Phone:
    """A SIP endpoint with one RTP socket. Use it with `with`.

    `claims` is the host:port that it writes into Via, Contact and SDP instead of its own,
    as an endpoint behind a NAT does.
    """

    def __init__(
        self,
        name: str,
        proxy: Address,
        *,
        transport: str = "udp",
        host: str = "127.0.0.1",
        claims: str | None = None,
    ) -> None:
        self.name = name
        self.transport = transport
        self.proxy = proxy
        self.wire: Wire = TcpWire(host) if transport == "tcp" else UdpWire(host)
        self.rtp = socket.socket(family_of(host), socket.SOCK_DGRAM)
        self.rtp.bind((host, 0))
        self.rtp_port: int = self.rtp.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.claims = claims or f"{shown}:{self.wire.address[1]}"
        self._claimed_host = self.claims.rpartition(":")[0].strip("[]")
        self._seen: set[tuple[str, str, str, str]] = set()
        self._sdp_version = 0
        self.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wire.close()
        self.rtp.close()

    # The dialog

    def forget(self) -> None:
        """Begin a new dialog."""
        self.call_id = f"{uuid4().hex}@{self._claimed_host}"
        self.tag = uuid4().hex[:12]
        self.local = f'"{self.name}" <sip:{self.name}@{self.claims}>'
        self.remote = ""
        self.remote_tag = ""
        self.target = ""
        self.routes: list[str] = []
        self.cseq = 0
        self.remote_media: Address = ("", 0)
        self._invite: Message | None = None

    @property
    def contact(self) -> str:
        """Give the URI that the peer should reach us at."""
        return f"sip:{self.name}@{self.claims};transport={self.transport}"

    # Sending

    def sdp(
        self, *, direction: str = "sendrecv", payload: str = "8 PCMA/8000", port: int | None = None
    ) -> str:
        """Write an SDP of one audio line, each with a new version."""
        self._sdp_version += 1
        version = 6 if ":" in self._claimed_host else 4
        lines = (
            "v=0",
            f"o={self.name} 1 {self._sdp_version} IN IP{version} {self._claimed_host}",
            "s=-",
            f"c=IN IP{version} {self._claimed_host}",
            "t=0 0",
            f"m=audio {self.rtp_port if port is None else port} RTP/AVP {payload.split()[0]}",
            f"a=rtpmap:{payload}",
            f"a={direction}",
        )
        return "".join(f"{line}\r\n" for line in lines)

    def send(self, message: Message, to: Address | None = None) -> None:
        """Send a message as it is, to the proxy unless told otherwise."""
        self.wire.send(str(message).encode(errors="surrogateescape"), to or self.proxy)

    def invite(
        self,
        number: str,
        *,
        sdp: str | None = None,
        headers: Iterable[Header] = (),
        uri: str | None = None,
    ) -> Message:
        """Send the first INVITE of a call; with `sdp=""` it has no offer."""
        self.forget()
        self.target = uri or f"sip:{number}@{_shown(self.proxy)};transport={self.transport}"
        self.remote = f"<{self.target}>"
        invite = self.compose("INVITE", sdp=self.sdp() if sdp is None else sdp, headers=headers)
        self._invite = invite
        self.send(invite)
        return invite

    def request(self, method: str, *, sdp: str = "", headers: Iterable[Header] = ()) -> Message:
        """Send a request in the dialog."""
        request = self.compose(method, sdp=sdp, headers=headers)
        self.send(request)
        return request

    def compose(
        self,
        method: str,
        *,
        sdp: str = "",
        headers: Iterable[Header] = (),
        cseq: int | None = None,
        branch: str | None = None,
    ) -> Message:
        """Write a request in the dialog, with the next CSeq unless told otherwise."""
        if cseq is None:
            self.cseq += 1
        to = self.remote + (f";tag={self.remote_tag}" if self.remote_tag else "")
        branch = branch or f"z9hG4bK{uuid4().hex}"
        all_headers: list[Header] = [
            ("Via", f"SIP/2.0/{self.transport.upper()} {self.claims};branch={branch};rport"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in self.routes),
            ("From", f"{self.local};tag={self.tag}"),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq if cseq is None else cseq} {method}"),
            ("Contact", f"<{self.contact}>"),
            *headers,
        ]
        if sdp:
            all_headers.append(("Content-Type", "application/sdp"))
        return Message(f"{method} {self.target} SIP/2.0", tuple(all_headers), sdp)

    def ack(self, reply: Message, *, sdp: str = "") -> None:
        """Acknowledge the 2xx to an INVITE; takes the dialog's route and target from it."""
        self.follow(reply)
        self.send(self.compose("ACK", sdp=sdp, cseq=reply.cseq))

    def ack_refusal(self, reply: Message) -> None:
        """Acknowledge a refusal of the first INVITE (RFC 3261 §17.1.1.3)."""
        assert self._invite is not None
        headers = copied(self._invite, ("Max-Forwards", "Route", "From", "Call-ID"))
        via = self._invite.one("Via")
        fixed = [("Via", via), ("To", reply.one("To")), ("CSeq", f"{reply.cseq} ACK")]
        self.send(Message(f"ACK {self._invite.uri} SIP/2.0", (*fixed, *headers)))

    def cancel(self) -> None:
        """Cancel the first INVITE (RFC 3261 §9.1)."""
        assert self._invite is not None
        headers = copied(self._invite, ("Via", "Max-Forwards", "Route", "From", "To", "Call-ID"))
        cseq = ("CSeq", f"{self._invite.cseq} CANCEL")
        self.send(Message(f"CANCEL {self._invite.uri} SIP/2.0", (*headers, cseq)))

    def follow(self, reply: Message) -> None:
        """Take the dialog's state from a reply to the first INVITE (RFC 3261 §12.1.2)."""
        self.remote_tag = reply.to_tag
        if reply.contact:
            self.target = reply.contact
        if not self.routes:
            self.routes = list(reversed(reply.all("Record-Route")))
        self._note_media(reply)

    def reply(
        self,
        request: Message,
        status: int,
        reason: str = "Whatever",
        *,
        sdp: str = "",
        headers: Iterable[Header] = (),
    ) -> None:
        """Answer a request."""
        to = request.one("To") + ("" if request.to_tag or status == 100 else f";tag={self.tag}")
        all_headers = copied(request, ("Via", "Record-Route", "From", "Call-ID", "CSeq"))
        all_headers += [("To", to), ("Contact", f"<{self.contact}>"), *headers]
        if sdp:
            all_headers.append(("Content-Type", "application/sdp"))
        self.send(Message(f"SIP/2.0 {status} {reason}", tuple(all_headers), sdp), request.source)

    # Receiving

    def expect(self, *wanted: str | int, within_s: float = WITHIN_S) -> Message:
        """Wait for a request of one of these methods, or a reply with one of these statuses.

        Anything else but 100 and what was seen before is a failure.
        """
        give_up = time.monotonic() + within_s
        while (message := self.next(give_up - time.monotonic())) is not None:
            kind = message.status or message.method
            if kind in wanted:
                return message
            if kind != 100:
                raise AssertionError(f"{self.name} wanted {wanted}, got {message}")
        raise AssertionError(f"{self.name} got no {wanted} within {within_s} s")

    def next(self, within_s: float = WITHIN_S) -> Message | None:
        """Give the next message that is not a repetition."""
        give_up = time.monotonic() + within_s
        while (received := self.wire.receive(give_up - time.monotonic())) is not None:
            message = parse(*received)
            key = (message.start, message.branch, message.one("CSeq"), message.to_tag)
            if key not in self._seen:
                self._seen.add(key)
                self._note(message)
                return message
        return None

    def hears_nothing(self, within_s: float = 0.3) -> bool:
        """Tell whether nothing new comes within a while."""
        return self.next(within_s) is None

    def _note(self, message: Message) -> None:
        if message.method == "INVITE" and not message.status and not message.to_tag:
            self.call_id, self.cseq = message.one("Call-ID"), 0
            self.local, self.remote = message.one("To"), in_name_addr(message.one("From"))
            self.remote_tag, self.target = message.from_tag, message.contact
            self.routes = message.all("Record-Route")
        if message.body and not message.status:
            self._note_media(message)

    def _note_media(self, message: Message) -> None:
        if "m=" in message.body:
            self.remote_media = message.media


def in_name_addr(value: str) -> str:
    """Give a From or To without its parameters."""
    return f"<{in_brackets(value)}>"


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def answer(
    caller: Phone, callee: Phone, *, within_s: float = WITHIN_S, offer: bool = True
) -> tuple[Message, Message]:
    """Let a call that was just placed be answered; give the callee's INVITE and the 200."""
    invite = callee.expect("INVITE", within_s=within_s)
    callee.reply(invite, 180, "Ringing")
    caller.expect(180)
    callee.reply(invite, 200, "OK", sdp=callee.sdp())
    reply = caller.expect(200)
    caller.ack(reply, sdp="" if offer else caller.sdp())
    callee.expect("ACK")
    return invite, reply


def hang_up(who: Phone, other: Phone) -> None:
    """End a call from the side of `who`, and see both sides agree."""
    who.request("BYE")
    bye = other.expect("BYE")
    other.reply(bye, 200, "OK")
    assert who.expect(200).method == "BYE"
