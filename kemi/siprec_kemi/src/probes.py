"""OPTIONS to recorders outside any dialog: is it there, and over TLS: who is it?

Any final answer of a recorder means that it lives. Toward TLS, only a probe opens a connection;
docs/tls.md tells how the TLS proxy answers.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from siprec.inbox import SrsReplied, TlsSeen
from siprec.sip_uri import SipUri
from siprec.srs_dialog import ACCEPT
from siprec.srs_uri import SrsUri
from siprec_kemi.clock import monotonic_s
from siprec_kemi.src.addresses import Address, Addresses, NoSocket
from siprec_kemi.src.doors import Doors
from siprec_kemi.src.requests import USER, Outgoing, our_uri
from siprec_kemi.src.resolver import Resolver, Target
from siprec_kemi.src.sender import Sender

# All addresses of a recorder share this, but each is given a moment.
WITHIN_MS = 5_000
EACH_MS = 1_500
# The TLS proxy says after 5 s that a recorder is silent: that is not the proxy's own silence.
PROXY_MS = 6_000
# tm tells of each timeout; what gets lost on the way to us is given up a little later.
LOST_S = 1.0

_CALL_ID = re.compile(r"probe-([0-9]{1,5})-[0-9]+-[0-9a-f]+\Z")

TLS_FAILED = "TLS connection failed: untrusted, expired or refused; see the log of the TLS proxy"
OTHER_PROFILE = "another connector already uses this address with another TLS profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What came of a probe. `text` is for people: the answer, or why there is none.

    `target` is the address that answered, or the last that did not; None when the name leads
    nowhere. `tls` is there when a recorder answered over TLS.
    """

    answered: bool
    status: int = 0
    text: str = ""
    target: Target | None = None
    tls: TlsSeen | None = None


Done = Callable[[ProbeResult], None]


@dataclass(slots=True, kw_only=True)
class _Question:
    """A probe at work on `target`; `left` are the addresses still to be tried."""

    uri: SrsUri
    profile: str
    done: Done
    target: Target
    left: tuple[Target, ...]
    within_ms: int
    until_s: float = 0.0


def probe_port(call_id: str) -> int | None:
    """Give the mailbox that waits for the answer to a probe; None for other Call-IDs."""
    match = _CALL_ID.match(call_id)
    return int(match[1]) if match is not None and 0 < int(match[1]) < 65536 else None


class Probes:
    """Asks recorders. `port` is that of the mailbox; what comes there goes to `take`."""

    def __init__(
        self,
        *,
        addresses: Addresses,
        resolver: Resolver,
        doors: Doors,
        sender: Sender,
        port: int,
    ) -> None:
        self._addresses = addresses
        self._resolver = resolver
        self._doors = doors
        self._sender = sender
        self._port = port
        self._count = 0
        self._asked: dict[str, _Question] = {}

    def ask(self, uri: SrsUri, profile: str, done: Done) -> None:
        """Send OPTIONS to the addresses of a recorder, one after the other, until one answers.

        profile: the name of the TLS profile; "" toward a recorder without TLS.
        `done` is called once, at once or later. It says nothing of whose certificate it is:
        that is for siprec_kemi.src.tls_peers.
        """

        def go(targets: tuple[Target, ...], why: str) -> None:
            if not targets:
                done(ProbeResult(answered=False, text=why))
                return
            within_ms = WITHIN_MS
            if len(targets) > 1:
                within_ms = max(EACH_MS, WITHIN_MS // len(targets))
            self._send(
                _Question(
                    uri=uri,
                    profile=profile,
                    done=done,
                    target=targets[0],
                    left=targets[1:],
                    within_ms=within_ms,
                )
            )

        self._resolver.resolve(uri, go)

    def take(self, reply: SrsReplied) -> bool:
        """Take a reply from the mailbox; False when it is not to a probe."""
        if probe_port(reply.call_id) is None:
            return False
        question = self._asked.pop(reply.call_id, None)
        if question is not None:
            self._judge(question, reply)
        return True

    def next_due_s(self) -> float | None:
        """Tell when `care` has something to do, on the monotonic clock."""
        return min((question.until_s for question in self._asked.values()), default=None)

    def care(self) -> None:
        """Give up what was asked too long ago. Called each turn."""
        now_s = monotonic_s()
        for call_id in [each for each, asked in self._asked.items() if asked.until_s <= now_s]:
            self._fail(self._asked.pop(call_id), 408, "the answer to OPTIONS got lost")

    def _send(self, question: _Question) -> None:
        target, transport = question.target, question.target.transport
        try:
            ours = self._addresses.toward(target.ip, transport, question.uri.edge)
        except NoSocket as error:
            self._fail(question, 0, str(error))
            return
        if transport != "tcp":
            self._send_from(question, ours)
            return

        def answered(closed: str) -> None:
            if closed:
                self._fail(question, 0, closed)
            else:
                self._send_from(question, ours)

        self._doors.knock(target, ours, answered, anew=True)

    def _send_from(self, question: _Question, ours: Address) -> None:
        target, transport = question.target, question.target.transport
        self._count += 1
        call_id = f"probe-{self._port}-{self._count}-{secrets.token_hex(8)}"
        alone = transport == "tls" and question.within_ms == WITHIN_MS
        reply_ms = PROXY_MS if alone else question.within_ms
        question.until_s = monotonic_s() + reply_ms / 1000 + LOST_S
        self._asked[call_id] = question
        request = options(question.uri, target, ours, call_id, question.profile, reply_ms)
        if not self._sender.send(request):
            del self._asked[call_id]
            self._fail(question, 0, "tm could not send OPTIONS")

    def _judge(self, question: _Question, reply: SrsReplied) -> None:
        is_tls = question.target.transport == "tls"
        if reply.is_timeout:
            silent = "the TLS proxy does not answer"
            if not is_tls or question.within_ms < WITHIN_MS:
                silent = f"no answer to OPTIONS within {question.within_ms / 1000:g} s"
            self._fail(question, 408, silent)
        elif is_tls and reply.tls is None:
            self._fail(question, reply.status, _proxy_says(reply))
        else:
            question.done(
                ProbeResult(
                    answered=True,
                    status=reply.status,
                    text=f"{reply.status} {reply.reason}",
                    target=question.target,
                    # Without TLS these headers are whatever the recorder likes.
                    tls=reply.tls if is_tls else None,
                )
            )

    def _fail(self, question: _Question, status: int, text: str) -> None:
        if question.left:
            question.target, question.left = question.left[0], question.left[1:]
            self._send(question)
            return
        result = ProbeResult(answered=False, status=status, text=text, target=question.target)
        question.done(result)


def _proxy_says(reply: SrsReplied) -> str:
    """Say what an answer of the TLS proxy itself means."""
    match reply.status:
        case 408:
            return f"no answer to OPTIONS within {WITHIN_MS / 1000:g} s"
        case 503:
            return TLS_FAILED
        case 403 if "Another Profile" in reply.reason:
            return OTHER_PROFILE
        case status:
            return f"the TLS proxy refuses: {status} {reply.reason}"


def options(
    uri: SrsUri, target: Target, ours: Address, call_id: str, profile: str, reply_ms: int
) -> Outgoing:
    """Write OPTIONS (RFC 3261 §11.1) with the Contact and From that an INVITE would have."""
    bare = SipUri(scheme=uri.wire.scheme, user=uri.wire.user, host=uri.host, port=uri.port)
    headers = [
        f"From: <sip:{USER}@{ours.shown}>;tag={secrets.token_hex(8)}",
        f"To: <{bare}>",
        f"Call-ID: {call_id}",
        "CSeq: 1 OPTIONS",
        f"Contact: <{our_uri(uri, ours)}>;+sip.src",
        "Max-Forwards: 70",
        f"Accept: {ACCEPT}",
    ]
    next_hop = f"sip:{target.host_port};transport={target.transport}"
    if ours.inside:
        # RFC 6066 §3: for the name of a server only, and without the dot at its end.
        host = "" if target.ip == uri.host else f";host={uri.host.removesuffix('.')}"
        way = f"hop={target.host_port};profile={profile}{host}"
        headers.append(f"Route: <sip:{ours.inside};lr;{way}>")
        next_hop = f"sip:{ours.inside};transport=udp"
    return Outgoing(
        method="OPTIONS",
        uri=str(uri.wire),
        next_hop=next_hop,
        socket=ours.socket,
        headers="".join(f"{header}\r\n" for header in headers),
        reply_ms=reply_ms,
    )
