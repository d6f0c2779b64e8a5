"""The SIP side of a controller: sends what streams command, answers what the SRS asks."""

from collections.abc import Callable

from siprec import events as e
from siprec.errors import SipUriError
from siprec.inbox import SrsRequested
from siprec.model import Call, Connector, Leg, Stream
from siprec.recorder import Recorder
from siprec.sids import parse_leg_call_id
from siprec.sip_uri import SipUri, parse_uri
from siprec.srs_dialog import Answer, answer_request
from siprec.store import StoreUnavailable
from siprec_kemi import ksr
from siprec_kemi.clock import now_ms
from siprec_kemi.runtime import boot_id
from siprec_kemi.src import requests
from siprec_kemi.src.addresses import Addresses, NoSocket
from siprec_kemi.src.requests import Hop, Outgoing
from siprec_kemi.src.resolver import DEFAULT_PORT, Resolver
from siprec_kemi.src.sender import Sender

Compose = Callable[[Hop], Outgoing]


class Srs:
    """Requests to recorders and answers to theirs."""

    def __init__(
        self,
        *,
        node: str,
        addresses: Addresses,
        resolver: Resolver,
        sender: Sender,
        recorder: Recorder,
        connector_of: Callable[[str, str], Connector | None],
    ) -> None:
        self._node = node
        self._addresses = addresses
        self._resolver = resolver
        self._sender = sender
        self._recorder = recorder
        self._connector_of = connector_of
        self._answers: list[tuple[SrsRequested, Answer]] = []

    # Requests of ours

    def invite(self, call: Call, stream: Stream) -> None:
        """Send the INVITE of the leg's attempt."""
        attempt = stream.leg.attempt

        def unreachable(why: str) -> None:
            event = e.SrsUnreachable(attempt=attempt, text=why)
            self._recorder.happen(stream.sid, event, now_ms())

        try:
            connector = self._connector_of(call.account_sid, stream.order.connector_name)
        except StoreUnavailable as error:
            unreachable(str(error))
            return
        if connector is None:
            unreachable("its connector was deleted")
            return

        def compose(hop: Hop) -> Outgoing:
            return requests.invite(call, stream, connector, hop, now_ms())

        self._send(stream.leg, compose, unreachable)

    def bye(self, call: Call, stream: Stream) -> None:
        """Send BYE with the final metadata; one that cannot be sent counts as answered."""

        def unreachable(why: str) -> None:
            ksr.log("warning", f"{stream.sid} BYE not sent: {why}")
            event = e.SrsByeAnswered(attempt=stream.leg.attempt, status=408)
            self._recorder.happen(stream.sid, event, now_ms())

        self._send(stream.leg, lambda hop: requests.bye(call, stream, hop, now_ms()), unreachable)

    def cancel(self, call_id: str) -> None:
        """Cancel an INVITE of ours; each is the first of its dialog."""
        self._sender.cancel(call_id, 1)

    def drop_late(self, stream: Stream, answer: e.SrsAnswered) -> None:
        """Hang up a dialog that a stream no longer wants."""
        call_id = f"{stream.sid}-{answer.attempt}"
        self._hang_up(stream.leg, answer, call_id)

    def drop_stranger(self, call_id: str, answer: e.SrsAnswered) -> None:
        """Hang up a dialog whose stream is forgotten."""
        self._hang_up(Leg(srs_uri=answer.remote_target), answer, call_id)

    def _hang_up(self, leg: Leg, answer: e.SrsAnswered, call_id: str) -> None:
        late = requests.late_leg(leg, answer, call_id)
        self._send(
            late,
            lambda hop: requests.bye_to_late_answer(leg, answer, call_id, hop),
            lambda why: ksr.log("warning", f"{call_id} BYE to a late answer not sent: {why}"),
        )

    def _send(self, leg: Leg, compose: Compose, unreachable: Callable[[str], None]) -> None:
        try:
            target = requests.next_hop_uri(leg)
        except SipUriError as error:
            unreachable(str(error))
            return

        def go(ip: str | None, why: str) -> None:
            if ip is None:
                unreachable(why)
                return
            try:
                request = compose(self._hop(target, ip))
            except (NoSocket, SipUriError) as error:
                unreachable(str(error))
                return
            if not self._sender.send(request):
                unreachable("tm could not send the request")

        self._resolver.resolve(target.host, go)

    def _hop(self, target: SipUri, ip: str) -> Hop:
        # A SIPREC INVITE passes 1,300 bytes: TCP unless the URI says otherwise.
        transport = target.transport or "tcp"
        ours = self._addresses.toward(ip, transport)
        return Hop(ip=ip, port=target.port or DEFAULT_PORT, transport=transport, ours=ours)

    # Requests of the SRS

    @property
    def has_answers(self) -> bool:
        """Tell whether answers wait to be sent, after the save."""
        return bool(self._answers)

    def take_request(self, request: SrsRequested, at_ms: int) -> None:
        """Decide on a request; its answer goes out after the save."""
        leg = parse_leg_call_id(request.call_id)
        stream = self._recorder.stream(leg[0]) if leg is not None else None
        answer = answer_request(stream, request)
        if answer.stream is not None:
            self._recorder.note_request(answer.stream)
            if answer.event is not None:
                self._recorder.happen(answer.stream.sid, answer.event, at_ms)
        self._answers.append((request, answer))

    def send_answers(self) -> None:
        """Send the answers decided on; those of another life of this Kamailio are void."""
        answers, self._answers = self._answers, []
        for request, answer in answers:
            if (request.node, request.boot) != (self._node, boot_id()):
                continue
            contact = self._contact(request)
            if not self._sender.answer(request.index, request.label, answer, contact):
                ksr.log("warning", f"{request.call_id} {request.method}: answered too late")

    def _contact(self, request: SrsRequested) -> str:
        """Give the Contact of a 2xx of ours: the address that the SRS knows us by."""
        leg = parse_leg_call_id(request.call_id)
        stream = self._recorder.stream(leg[0]) if leg is not None else None
        transport, ip = "tcp", "0.0.0.0"
        if stream is not None:
            target = parse_uri(stream.leg.srs_uri)
            transport = target.transport or transport
            ip = "::" if ":" in target.host else ip
        ours = self._addresses.toward(ip, transport).shown
        return f"<sip:{requests.USER}@{ours};transport={transport}>;+sip.src"
