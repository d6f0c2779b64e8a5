"""A dialog as its callee sees it: tags, route set, sequence numbers (RFC 3261 §12)."""

import secrets
import time
from dataclasses import dataclass, field

from siprec_srs.address import host_port, parse_name_addr, parse_uri, parse_via
from siprec_srs.errors import ParseError
from siprec_srs.message import Header, Request, Response
from siprec_srs.transport import Flow

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO"
ACCEPT = "application/sdp, application/rs-metadata+xml, application/rs-metadata, multipart/mixed"
SUPPORTED = "siprec, timer"
USER_AGENT = "siprec-srs"
_MOVE_S = 1.0


def new_tag() -> str:
    """Return a tag, or the random part of a branch."""
    return secrets.token_hex(6)


def reply(
    request: Request,
    status: int,
    reason: str,
    *,
    flow: Flow,
    to_tag: str = "",
    extra: tuple[Header, ...] = (),
    body: bytes = b"",
) -> Response:
    """Write a response as RFC 3261 §8.2.6 says: Via, From, To, Call-ID, CSeq copied.

    Record-Route is copied into responses that make a dialog (§12.1.1).
    """
    headers: list[Header] = []
    for index, via in enumerate(request.values("Via")):
        headers.append(("Via", _received(via, flow) if index == 0 else via))
    if request.method == "INVITE" and status < 300:
        headers += [("Record-Route", value) for value in request.all("Record-Route")]
    headers += [("From", request.get("From")), ("To", _with_tag(request.get("To"), to_tag))]
    headers += [("Call-ID", request.get("Call-ID")), ("CSeq", request.get("CSeq"))]
    headers += [("Server", USER_AGENT), *extra]
    if body:
        headers.append(("Content-Type", "application/sdp"))
    return Response(status=status, reason=reason, headers=tuple(headers), body=body)


def _received(text: str, flow: Flow) -> str:
    # RFC 3261 §18.2.1 and RFC 3581 §4.
    via = parse_via(text)
    host, port = flow.peer
    if "rport" in via.params:
        parts = text.split(";")
        text = ";".join(f"rport={port}" if p.strip().lower() == "rport" else p for p in parts)
    if via.host != host or "rport" in via.params:
        text += f";received={host}"
    return text


def _with_tag(to: str, tag: str) -> str:
    if not tag or parse_name_addr(to).tag:
        return to
    return f"{to};tag={tag}"


def contact_of(flow: Flow, port: int) -> str:
    """Write our Contact as whoever is at the other end of this flow can reach it."""
    where = host_port(flow.local_host, port)
    transport = f";transport={flow.transport.lower()}" if flow.transport != "UDP" else ""
    return f"<sip:srs@{where}{transport}>;+sip.srs"


def _target(message: Request | Response) -> str:
    contacts = message.values("Contact")
    try:
        return parse_name_addr(contacts[0]).uri if contacts else ""
    except ParseError:
        return ""


def _place(uri: str) -> tuple[str, str, int]:
    try:
        parsed = parse_uri(uri)
    except ParseError:
        return "", "", 0
    return parsed.user, parsed.host.lower(), parsed.port


@dataclass(slots=True, kw_only=True)
class Dialog:
    """One dialog that a peer began. Route set and remote target as RFC 3261 §12.1.1 says."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    target: str
    routes: list[str]
    contact: str
    remote_cseq: int
    local_cseq: int = field(default_factory=lambda: secrets.randbelow(10_000))
    old_contact: str = ""
    moved_at: float = 0.0

    @classmethod
    def of(cls, invite: Request, contact: str) -> "Dialog":
        """Begin a dialog from an INVITE. Raises: ParseError."""
        tag = new_tag()
        return cls(
            call_id=invite.call_id,
            local_tag=tag,
            remote_tag=parse_name_addr(invite.need("From")).tag,
            local=_with_tag(invite.need("To"), tag),
            remote=invite.need("From"),
            target=_target(invite),
            routes=invite.values("Record-Route"),
            contact=contact,
            remote_cseq=invite.cseq[0],
        )

    def refresh_target(self, message: Request | Response) -> None:
        """Take a new remote target from a re-INVITE, an UPDATE or their 2xx (§12.2)."""
        self.target = _target(message) or self.target

    def move_contact(self) -> None:
        """Give ourselves another Contact, which the next 2xx tells."""
        if not self.old_contact:
            self.old_contact, self.moved_at = self.contact, time.monotonic()
            self.contact = self.contact.replace("<sip:srs@", "<sip:srs-moved@")

    def is_ours(self, request: Request) -> bool:
        """Tell whether the Request-URI of a request is our Contact (§12.2.1.1).

        Just after a move it may be the one before: the 2xx was on its way.
        """
        known = [self.contact]
        if self.old_contact and time.monotonic() < self.moved_at + _MOVE_S:
            known.append(self.old_contact)
        return _place(request.uri) in [_place(parse_name_addr(one).uri) for one in known]

    def next_hop(self) -> tuple[str, str, int]:
        """Return transport, host and port of the next hop. Raises: ParseError."""
        uri = parse_uri(parse_name_addr(self.routes[0]).uri if self.routes else self.target)
        transport = {"tcp": "TCP", "tls": "TLS"}.get(uri.transport, "UDP")
        if uri.scheme == "sips":
            transport = "TLS"
        return transport, uri.host, uri.port or (5061 if transport == "TLS" else 5060)

    def request(
        self,
        method: str,
        *,
        via: tuple[str, str, int],
        cseq: int | None = None,
        extra: tuple[Header, ...] = (),
        body: bytes = b"",
    ) -> Request:
        """Write a request inside the dialog (§12.2.1.1); `cseq` only for an ACK.

        via: transport, host and port that responses come back to.
        """
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        # A strict router (first Route without lr) wants its own URI as Request-URI.
        uri, routes = self.target, self.routes
        if routes:
            first = parse_name_addr(routes[0]).uri
            if "lr" not in parse_uri(first).params:
                uri, routes = first, [*routes[1:], f"<{self.target}>"]
        transport, host, port = via
        headers = [
            ("Via", f"SIP/2.0/{transport} {host_port(host, port)};branch=z9hG4bK{new_tag()};rport"),
            ("Max-Forwards", "70"),
            *(("Route", route) for route in routes),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if method not in ("BYE", "ACK"):
            headers += [("Contact", self.contact), ("Allow", ALLOW), ("Accept", ACCEPT)]
        headers += [("User-Agent", USER_AGENT), *extra]
        if body and not any(name == "Content-Type" for name, _ in extra):
            headers.append(("Content-Type", "application/sdp"))
        return Request(method=method, uri=uri, headers=tuple(headers), body=body)
