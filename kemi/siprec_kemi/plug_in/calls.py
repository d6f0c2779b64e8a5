"""The first INVITE of a call that the operator's own proxy routes: what it is, who records it."""

from dataclasses import replace

from siprec.inbox import Notice
from siprec.model import StreamOrder
from siprec.settings import OnSessionId, Runtime
from siprec.twiml_run import Program, Step, Verb, advance
from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.proxy import negotiation
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.calls import NO_RECORDER, NO_SUCH_STREAM, Calls
from siprec_kemi.proxy.documents import Document, Documents
from siprec_kemi.proxy.fetches import Fetches
from siprec_kemi.proxy.invitation import Invitation, keep, kept
from siprec_kemi.proxy.media import Media
from siprec_kemi.proxy.policy import Policy
from siprec_kemi.proxy.reports import MEDIA_FAILED, Reports
from siprec_kemi.proxy.route_parameter import Path, make_parameter
from siprec_kemi.proxy.session_ids import SessionIds

# What the operator's routing may say of a call.
NUMBER = "$avp(siprec_number)"
CONNECTOR = "$avp(siprec_connector)"
RTPENGINE = "$avp(siprec_rtpengine)"

REFUSED = "refused"

NOT_FOLLOWED = 12200
NOT_FETCHED = 11200


class _NoFetches(Fetches):
    """Documents are not fetched for calls that are routed already: no sockets are opened."""

    def __init__(self) -> None:
        self.found = None


class PluggedCalls(Calls):
    """Calls on their way to an answer, which another routes. One per SIP worker."""

    def __init__(
        self,
        runtime: Runtime,
        documents: Documents,
        media: Media,
        policy: Policy,
        reports: Reports,
        awareness: Awareness,
    ) -> None:
        key = bytes.fromhex(runtime.route_key)
        ids = SessionIds(key, OnSessionId.PASS)
        super().__init__(runtime, documents, media, policy, reports, awareness, ids, _NoFetches())
        self._rtpengines = runtime.settings.rtpengine.ng

    def offered(self) -> bool:
        """Note a new call, and which streams begin at its answer; it is not delayed.

        False when a connector that the call must have has no living recorder: whether it is
        refused is for the operator's routing to say.
        """
        if kept() is not None:
            return True
        called = ksr.text(NUMBER) or ksr.text("$rU")
        document, notices = self._document_of(called)
        connector = ksr.text(CONNECTOR)
        if connector:
            document = self._with_connector(document, connector)
        account_sid = document.account_sid if document else self._account_sid
        call = self._new_call(called, account_sid)
        orders: tuple[StreamOrder, ...] = ()
        unmet = None
        if document is not None:
            orders, more = _orders(document)
            notices = (*notices, *more)
            unmet = self._documents.unmet(document)
        instance, more = self._instance()
        if unmet is not None:
            text = f"connector {unmet.name!r} is required and none of its recorders is alive"
            more = (*more, Notice(code=NO_RECORDER, text=text))
        is_offer = ksr_proxy.has_sdp()
        call = replace(
            call,
            is_plugged_in=True,
            is_srtp=is_offer and ksr_proxy.has_srtp(),
            rtpengine="" if instance is None else self._rtpengines[instance],
        )
        if is_offer:
            negotiation.note_offer()
        path = Path(call.sid, instance or 0)
        keep(
            Invitation(
                call=call,
                instance=path.instance,
                orders=orders,
                notices=(*notices, *more),
                media=instance is not None,
                offered=is_offer,
            )
        )
        ksr_proxy.add_route_parameter(
            make_parameter(self._route_key, call.sip_call_id, call.caller.tag, path)
        )
        return unmet is None

    def failed(self) -> None:
        """Report a call that nobody has answered, or that was refused before it was relayed."""
        if ksr.has_transaction():
            super().failed()
        elif (invitation := kept()) is not None:
            self._give_up(invitation, REFUSED)

    def _has_been_cancelled(self) -> bool:
        # By its caller: no program can.
        return ksr.is_cancelled()

    def _with_connector(self, document: Document | None, connector: str) -> Document:
        """Give what the call follows when the routing names a connector besides its number."""
        start = Step(do=Verb.START, order=StreamOrder(connector_name=connector))
        steps = document.program.steps if document and document.program else ()
        account_sid = document.account_sid if document else self._account_sid
        program = Program(steps=(start, *(steps or (Step(do=Verb.DIAL),))))
        return self._documents.of_program(account_sid, program)

    def _instance(self) -> tuple[int | None, tuple[Notice, ...]]:
        """Tell which rtpengine has the media; None, and why, when nobody can say."""
        named = ksr.text(RTPENGINE)
        if not named and len(self._rtpengines) == 1:
            return 0, ()
        if named.isdecimal() and int(named) < len(self._rtpengines):
            return int(named), ()
        count = len(self._rtpengines)
        text = f"{RTPENGINE} must be 0 to {count - 1}, the place in [rtpengine] ng: {named!r}"
        return None, (Notice(code=MEDIA_FAILED, text=text),)


def _orders(document: Document) -> tuple[tuple[StreamOrder, ...], tuple[Notice, ...]]:
    """Give the streams that a document starts, and what of it cannot be done here.

    `<Dial>` says nothing new: the call is routed already. Nor need there be one.
    """
    program = document.program or Program()
    notices: list[Notice] = []
    if document.sources:
        text = "the number's document is at a URL, and is not fetched for a plug-in"
        notices.append(Notice(code=NOT_FETCHED, text=text))
    ahead = advance(program, 0, ())
    for name in ahead.unknown_stops:
        text = f"Stop: no stream {name!r} was started"
        notices.append(Notice(code=NO_SUCH_STREAM, text=text))
    step = next((step for step in program.steps if _is_for_routing(step)), None)
    if step is not None and step.do is not Verb.DIAL:
        verb = step.do.value.capitalize()
        text = f"line {step.line}: <{verb}> is not followed: another proxy routes the call"
        notices.append(Notice(code=NOT_FOLLOWED, text=text))
    if document.may_end_calls:
        text = "a connector would end the call without a recorder; a plug-in cannot"
        notices.append(Notice(code=NOT_FOLLOWED, text=text))
    if document.records_early:
        text = "a connector would record early media; for a plug-in it begins at the answer"
        notices.append(Notice(code=NOT_FOLLOWED, text=text))
    return ahead.pending, tuple(notices)


def _is_for_routing(step: Step) -> bool:
    return step.order is None and step.do is not Verb.STOP
