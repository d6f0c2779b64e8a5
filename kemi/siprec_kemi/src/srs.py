"""The SIP side of a controller: sends what legs command, answers what the SRS asks."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from siprec import events as e
from siprec.connector import Connector
from siprec.digest import DigestError
from siprec.errors import SipUriError
from siprec.inbox import SrsReplied, SrsRequested
from siprec.leg_end import FLOW_FAILED
from siprec.leg_target import target_of
from siprec.model import Call, Leg, Stream
from siprec.recorder import Recorder
from siprec.sids import make_leg_call_id, parse_leg_call_id
from siprec.sip_uri import parse_uri
from siprec.srs_dialog import Answer, answer_request, event_of_ack
from siprec.srs_uri import SrsUri
from siprec.store import StoreUnavailable
from siprec.tls_profile import tls_profile
from siprec_kemi import ksr
from siprec_kemi.clock import now_ms
from siprec_kemi.runtime import boot_id
from siprec_kemi.src import requests
from siprec_kemi.src.addresses import NoSocket, UnknownEdge
from siprec_kemi.src.reach import Reach
from siprec_kemi.src.requests import Hop, Outgoing
from siprec_kemi.src.sender import Sender

UNREACHABLE = 32011
BAD_CONFIGURATION = 31942

Compose = Callable[[Hop], Outgoing]
Fail = Callable[[str, int], None]


class Srs:
    """Requests to recorders and answers to theirs."""

    def __init__(
        self,
        *,
        node: str,
        reach: Reach,
        sender: Sender,
        recorder: Recorder,
        connector_of: Callable[[str, str], Connector | None],
    ) -> None:
        self._node = node
        self._reach = reach
        self._sender = sender
        self._recorder = recorder
        self._connector_of = connector_of
        self._answers: list[tuple[SrsRequested, Answer]] = []

    # Requests of ours

    def invite(self, call: Call, stream: Stream, leg: Leg) -> None:
        """Send the INVITE of the leg's attempt."""

        def fail(why: str, code: int = UNREACHABLE) -> None:
            event = e.SrsUnreachable(attempt=leg.attempt, text=why, code=code)
            self._recorder.happen_to_leg(stream.sid, leg.number, event, now_ms())

        try:
            connector = self._connector_of(call.account_sid, stream.order.connector_name)
        except StoreUnavailable as error:
            fail(str(error))
            return
        if connector is None:
            fail("its connector was deleted")
            return

        def compose(hop: Hop) -> Outgoing:
            return requests.invite(call, stream, leg, connector, hop, now_ms())

        self._send(leg, _profile(stream, connector), compose, fail)

    def ask(self, call: Call, stream: Stream, leg: Leg) -> None:
        """Send the re-INVITE or UPDATE that is asked; one that cannot be sent had no answer."""
        cseq = leg.cseq
        by_update = leg.asked is not None and leg.asked.by_update
        write = requests.update if by_update else requests.invite

        def fail(why: str, code: int = UNREACHABLE) -> None:
            event = e.SrsRefused(
                attempt=leg.attempt,
                status=408,
                reason=why,
                challenge=e.Challenge(cseq=cseq),
                is_timeout=True,
            )
            self._recorder.happen_to_leg(stream.sid, leg.number, event, now_ms())

        connector = self._connector_if_known(stream)
        if connector is None:
            fail("its connector was deleted")
            return
        self._send(
            leg,
            _profile(stream, connector),
            lambda hop: write(call, stream, leg, connector, hop, now_ms()),
            fail,
        )

    def bye(self, call: Call, stream: Stream, leg: Leg) -> None:
        """Send BYE with the final metadata; one that cannot be sent counts as answered."""

        def fail(why: str, code: int = UNREACHABLE) -> None:
            ksr.log("warning", f"{leg.call_id} BYE not sent: {why}")
            event = e.SrsByeAnswered(attempt=leg.attempt, status=408)
            self._recorder.happen_to_leg(stream.sid, leg.number, event, now_ms())

        connector = self._connector_if_known(stream)
        self._send(
            leg,
            _profile(stream, connector),
            lambda hop: requests.bye(call, stream, leg, connector, hop, now_ms()),
            fail,
        )

    def options(self, stream: Stream, leg: Leg) -> None:
        """Ask in the dialog whether the SRS still knows it; no answer says nothing."""
        connector = self._connector_if_known(stream)
        self._send(
            leg,
            _profile(stream, connector),
            lambda hop: requests.options(leg, connector, hop),
            lambda why, code: ksr.log("info", f"{leg.call_id} OPTIONS not sent: {why}"),
        )

    def cancel(self, call_id: str, cseq: int) -> None:
        """Cancel an INVITE of ours."""
        self._sender.cancel(call_id, cseq)

    def drop_late(self, stream: Stream, leg: Leg, answer: e.SrsAnswered) -> None:
        """Hang up a dialog that a leg no longer wants."""
        connector = self._connector_if_known(stream)
        call_id = make_leg_call_id(stream.sid, leg.number, answer.attempt)
        late = requests.late_leg(leg, answer, call_id)
        self._hang_up_late(late, connector, _profile(stream, connector))

    def drop_stranger(self, call_id: str, answer: e.SrsAnswered) -> None:
        """Hang up a dialog whose stream is forgotten; one over TLS cannot be reached any more."""
        late = requests.late_leg(Leg(srs=answer.remote_target), answer, call_id)
        self._hang_up_late(late, None, "")

    def _hang_up_late(self, late: Leg, connector: Connector | None, profile: str) -> None:
        for write in (requests.ack_to_late_answer, requests.bye_to_late_answer):
            self._send(
                late,
                profile,
                partial(write, late, connector),
                lambda why, code: _not_dropped(late.call_id, why),
            )

    def flow_failed(self, reply: SrsReplied, stream: Stream) -> None:
        """Forget a connection over TLS that is gone: the next request opens another."""
        named = parse_leg_call_id(reply.call_id)
        leg = stream.leg(named.leg) if named is not None else None
        if reply.status == FLOW_FAILED and leg is not None:
            profile = _profile(stream, self._connector_if_known(stream))
            self._reach.forget(target_of(leg), profile)

    def _connector_if_known(self, stream: Stream) -> Connector | None:
        try:
            return self._connector_of(stream.account_sid, stream.order.connector_name)
        except StoreUnavailable:
            return None

    def _send(self, leg: Leg, profile: str, compose: Compose, fail: Fail) -> None:
        try:
            target = _next_target(leg)
        except SipUriError as error:
            fail(str(error), UNREACHABLE)
            return

        def go(hop: Hop | None, why: str) -> None:
            if hop is None:
                fail(why, UNREACHABLE)
                return
            try:
                request = compose(hop)
            except (SipUriError, DigestError) as error:
                fail(str(error), UNREACHABLE)
                return
            if not self._sender.send(request):
                fail("tm could not send the request", UNREACHABLE)

        try:
            self._reach.hop(target, profile, go)
        except UnknownEdge as error:
            fail(str(error), BAD_CONFIGURATION)
        except NoSocket as error:
            fail(str(error), UNREACHABLE)

    # Requests of the SRS

    @property
    def has_answers(self) -> bool:
        """Tell whether answers wait to be sent, after the save."""
        return bool(self._answers)

    def take_request(self, request: SrsRequested, at_ms: int) -> None:
        """Decide on a request; its answer goes out after the save."""
        named = parse_leg_call_id(request.call_id)
        stream = self._recorder.stream(named.stream_sid) if named is not None else None
        if request.method == "ACK":
            acknowledged = event_of_ack(stream, request)
            if stream is not None and acknowledged is not None:
                self._recorder.happen_to_leg(stream.sid, *acknowledged, at_ms)
            return
        answer = answer_request(stream, request)
        if stream is not None and answer.leg is not None:
            self._recorder.note_request(stream.sid, answer.leg)
            for event in answer.events:
                self._recorder.happen_to_leg(stream.sid, answer.leg.number, event, at_ms)
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
        """Give the Contact of a 2xx of ours; nobody asks for that of a dialog we do not have."""
        named = parse_leg_call_id(request.call_id)
        stream = self._recorder.stream(named.stream_sid) if named is not None else None
        leg = stream.leg(named.leg) if stream is not None and named is not None else None
        return "" if leg is None else self._reach.contact(target_of(leg))


def _profile(stream: Stream, connector: Connector | None) -> str:
    """Name the TLS profile: that of today, for a certificate may have been renewed."""
    return stream.plan.tls_profile if connector is None else tls_profile(connector).name


def _next_target(leg: Leg) -> SrsUri:
    """Give where the leg's next request goes (RFC 3261 §12.2.1.1).

    Over TLS that is where its INVITE went: the TLS proxy's connection is the only way.

    Raises:
        SipUriError: the SRS gave a URI that cannot be used.
    """
    target = target_of(leg)
    if target.transport == "tls":
        return target
    following = leg.remote_target
    if leg.route_set:
        following = leg.route_set[0].strip().lstrip("<").partition(">")[0]
    if not following:
        return target
    uri = parse_uri(following)
    if not uri.transport and uri.scheme == "sip":
        # As the INVITE went: many an SRS does not write its transport.
        uri = replace(uri, params=(*uri.params, ("transport", target.transport)))
    return replace(target, wire=uri)


def _not_dropped(call_id: str, why: str) -> None:
    ksr.log("warning", f"{call_id} ACK and BYE to a late answer not sent: {why}")
