"""The first INVITE of a call: who may call, where it goes, and how it turned out."""

import secrets
from dataclasses import replace

from siprec.call_parameters import call_parameters
from siprec.connector import Connector
from siprec.inbox import Notice
from siprec.model import Call, Side
from siprec.settings import Runtime
from siprec.sids import make_call_sid, shard_of_call_id
from siprec.twiml_run import DialOut, Fetch, Program, Refuse, Source, Wait, advance
from siprec.web_request import WebRequest
from siprec_documents.library import Found
from siprec_kemi import ksr, ksr_proxy
from siprec_kemi.clock import now_ms
from siprec_kemi.proxy import negotiation
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.cancelled import is_cancelled
from siprec_kemi.proxy.dialogs import CHALLENGES
from siprec_kemi.proxy.documents import Document, Documents, DocumentUnknown
from siprec_kemi.proxy.fetches import ON_FETCHED, Fetches, FetchesFull, FetchRequest
from siprec_kemi.proxy.identity import asserted_party, first_party, party_in
from siprec_kemi.proxy.invitation import (
    Invitation,
    claim_early_report,
    claim_report,
    claim_ringing_report,
    keep,
    kept,
)
from siprec_kemi.proxy.kinship import kinship_of_invite
from siprec_kemi.proxy.media import Media
from siprec_kemi.proxy.negotiation import Answer
from siprec_kemi.proxy.policy import Policy, is_sip_uri
from siprec_kemi.proxy.reports import Reports
from siprec_kemi.proxy.route_parameter import Path, make_parameter
from siprec_kemi.proxy.session_ids import SessionIds

ON_REPLY = "ksr_call_reply"
ON_FAILURE = "ksr_call_failure"
ON_RESUME = "ksr_call_resume"

NO_SUCH_STREAM = 31952
NO_GATEWAY = 12200
STORE_AWAY = 20503
NO_RECORDER = 32011
BAD_DOCUMENT = 12200
RETRY_AFTER_S = 30
TRYING = 100
RINGING = 180
CANCELLED = "cancelled"

MAX_FETCHES = 10
# Two URLs may take 15 s each; tm gives the call up soon after.
FETCH_MS = 32_000
NO_FETCH = Notice(code=11200, text="the document was not fetched in time, or nobody could")

# Silence of a target is not waited out longer than its Dial, nor for ever without one.
RING_S = 180
SILENCE_MS = 32_000


class Calls:
    """Calls on their way to an answer. One per SIP worker."""

    def __init__(
        self,
        runtime: Runtime,
        documents: Documents,
        media: Media,
        policy: Policy,
        reports: Reports,
        awareness: Awareness,
        session_ids: SessionIds,
        fetches: Fetches,
    ) -> None:
        self._account_sid = runtime.settings.account.sid or ""
        self._node = runtime.node
        self._route_key = bytes.fromhex(runtime.route_key)
        self._documents = documents
        self._media = media
        self._policy = policy
        self._reports = reports
        self._awareness = awareness
        self._session_ids = session_ids
        self._fetches = fetches

    def invite(self) -> None:
        """Take a new call: its document when the number has one, else the default route."""
        if not ksr.new_transaction():
            return
        called = ksr.text("$rU")
        document, notices = self._document_of(called)
        call = self._new_call(called, document.account_sid if document else self._account_sid)
        instance = self._media.choose(call.sip_call_id)
        invitation = Invitation(call=call, instance=instance, notices=notices)
        ksr.on_reply(ON_REPLY)
        ksr.on_failure(ON_FAILURE)
        if document is None:
            self._route_by_default(invitation)
        elif document.sources:
            own = document.program
            self._fetch(replace(invitation, sources=document.sources, own=own), document.sources)
        else:
            self._begin(invitation, document)

    def _begin(self, invitation: Invitation, document: Document) -> None:
        """Follow a document from its beginning, if its call can be recorded as it must be."""
        if unmet := self._documents.unmet(document):
            self._refuse_unrecorded(invitation, unmet)
            return
        self._follow(
            replace(
                invitation,
                program=document.program,
                position=0,
                records_early=invitation.records_early or document.records_early,
            )
        )

    def _fetch(self, invitation: Invitation, sources: tuple[Source, ...]) -> None:
        """Let the call wait for a document; nothing else waits."""
        if invitation.fetches >= MAX_FETCHES:
            text = f"Redirect: {MAX_FETCHES} documents were fetched for one call already"
            notice = Notice(code=BAD_DOCUMENT, text=text)
            invitation = replace(invitation, notices=(*invitation.notices, notice))
            self._refuse(invitation, 480, "Temporarily Unavailable")
            return
        invitation = replace(invitation, fetches=invitation.fetches + 1, is_fetching=True)
        keep(invitation)
        ksr.set_timers(invite_ms=FETCH_MS, reply_ms=FETCH_MS)
        suspended = ksr.suspend()
        if suspended is None:
            self._after_fetch(invitation, Found(notices=(NO_FETCH,)))
            return
        index, label = suspended
        request = FetchRequest(
            index=index,
            label=label,
            account_sid=invitation.call.account_sid,
            sources=sources,
            fields=tuple(call_parameters(invitation.call).items()),
            base=invitation.url,
        )
        try:
            self._fetches.put(request)
        except FetchesFull as error:
            ksr.log("warning", f"{invitation.call.sid}: {error}")
            ksr.resume(index, label, ON_FETCHED)

    def fetched(self) -> None:
        """Go on after a fetch, unless the caller gave up."""
        invitation = kept()
        if invitation is not None and not self._end_if_cancelled(invitation):
            self._after_fetch(invitation, self._fetches.found or Found(notices=(NO_FETCH,)))

    def _after_fetch(self, invitation: Invitation, found: Found) -> None:
        """Follow what was found, else the number's own document; else nobody records the call."""
        notices = (*invitation.notices, *map(_brief, found.notices))
        invitation = replace(invitation, is_fetching=False, notices=notices)
        account_sid = invitation.call.account_sid
        program, own = found.program, invitation.own
        if program is None:
            # Once is enough.
            invitation = replace(invitation, own=None, sources=())
        if program is None and own is None:
            text = "no document could be had; the call went by the default route, unrecorded"
            notice = Notice(code=NO_FETCH.code, text=text)
            self._route_by_default(replace(invitation, notices=(*notices, notice)))
            return
        document = self._documents.of_program(account_sid, program or own or Program())
        self._begin(replace(invitation, url=found.url), document)

    def resume(self) -> None:
        """Go on after a `<Pause>`, unless the caller gave up."""
        invitation = kept()
        if invitation is not None and not self._end_if_cancelled(invitation):
            self._wait(invitation, invitation.wait_s)

    def _end_if_cancelled(self, invitation: Invitation) -> bool:
        """End a call that was cancelled while it waited, by its caller or for a program."""
        if is_cancelled():
            self._give_up(invitation, CANCELLED)
            # The caller's own CANCEL has been answered by tm, and the INVITE with it.
            ksr.reply(487, "Request Terminated")
            return True
        return False

    def replied(self) -> None:
        """Look at a reply to the INVITE before it goes to the caller."""
        status = ksr.number("$rs")
        session_id = self._session_ids.in_reply() if status > TRYING else ""
        has_sdp = ksr_proxy.has_sdp()
        rings = RINGING <= status < RINGING + 10 and claim_ringing_report()
        # Most replies repeat that it rings: they need not know the call.
        invitation = kept() if has_sdp or rings or 200 <= status < 300 else None
        if invitation is None:
            return
        if has_sdp:
            if ksr_proxy.has_srtp() and not invitation.call.is_srtp:
                invitation = replace(invitation, call=replace(invitation.call, is_srtp=True))
                keep(invitation)
            record = self._awareness.answering(invitation)
            if invitation.offered:
                negotiation.note_answer(Side.CALLER)
            else:
                negotiation.note_late_offer()
            self._media.take_reply(
                invitation.instance,
                invitation.call.sid,
                is_answer=invitation.offered,
                record=record,
            )
        is_early = has_sdp and status < 200 and invitation.records_early and invitation.media
        is_early = is_early and claim_early_report()
        if rings or is_early:
            self._reports.ringing(invitation, callee_tag=ksr.text("$tt"), is_early=is_early)
        if 200 <= status < 300 and claim_report():
            self._answered(invitation, session_id)

    def _answered(self, invitation: Invitation, session_id: str) -> None:
        callee_tag = ksr.text("$tt")
        # What PRACK or UPDATE led to is newer than the answer, which a 2xx may repeat.
        early = negotiation.take_early(callee_tag)
        if early is not None and early.is_srtp:
            invitation = replace(invitation, call=replace(invitation.call, is_srtp=True))
        answer = early.answer if early is not None else negotiation.answered()
        self._reports.answered(
            invitation,
            callee_tag=callee_tag,
            session_id=session_id,
            answer=answer or Answer(),
            asserted=asserted_party(self._policy),
        )
        self._awareness.answered(invitation)

    def failed(self) -> None:
        """All branches failed: dial what the document says next, or let the caller know."""
        invitation = kept()
        if invitation is None:
            return
        status = ksr.failure_status()
        if self._has_been_cancelled():
            self._give_up(invitation, CANCELLED)
        elif invitation.is_fetching:
            # Nobody fetched it in time.
            self._after_fetch(invitation, Found(notices=(NO_FETCH,)))
        elif invitation.program is not None and status not in CHALLENGES and status < 600:
            self._follow(invitation)
        else:
            self._give_up(invitation, str(status))

    def _has_been_cancelled(self) -> bool:
        return is_cancelled()

    def _document_of(self, called: str) -> tuple[Document | None, tuple[Notice, ...]]:
        """Give the number's document; a call that may miss one goes on, and is noticed."""
        try:
            return (self._documents.find(called) if called else None), ()
        except DocumentUnknown as error:
            text = f"{error}; the call went by the default route, unrecorded"
            return None, (Notice(code=STORE_AWAY, text=text),)

    def _new_call(self, called: str, account_sid: str) -> Call:
        call_id = ksr.text("$ci")
        return Call(
            sid=make_call_sid(shard_of_call_id(call_id), secrets.token_hex(11)),
            account_sid=account_sid,
            sip_call_id=call_id,
            number=called,
            caller=first_party("From", ksr.text("$ft"), asserted=asserted_party(self._policy)),
            callee=party_in("To"),
            session_id=self._session_ids.in_request() or None,
            kinship=kinship_of_invite(),
            node=self._node,
            started_ms=now_ms(),
        )

    def _refuse_unrecorded(self, invitation: Invitation, connector: Connector) -> None:
        """Refuse a call that must be recorded and would not be."""
        text = (
            f"connector {connector.name!r} is required and none of its recorders is alive;"
            " the call was refused with 503"
        )
        notice = Notice(code=NO_RECORDER, text=text)
        ksr.append_reply_header(f"Retry-After: {RETRY_AFTER_S}\r\n")
        invitation = replace(invitation, notices=(*invitation.notices, notice))
        self._refuse(invitation, 503, "Service Unavailable")

    def _follow(self, invitation: Invitation) -> None:
        """Follow the document to its next action."""
        program = invitation.program or Program()
        ahead = advance(program, invitation.position, invitation.orders)
        unknown = tuple(
            Notice(code=NO_SUCH_STREAM, text=f"Stop: no stream {name!r} was started")
            for name in ahead.unknown_stops
        )
        has_more = ahead.position < len(program.steps)
        invitation = replace(
            invitation,
            program=program if has_more else None,
            position=ahead.position,
            orders=ahead.pending,
            notices=(*invitation.notices, *unknown),
        )
        match ahead.action:
            case DialOut(targets=targets, timeout_s=timeout_s):
                uris = [self._policy.target_uri(target) for target in targets]
                self._dial(invitation, [uri for uri in uris if uri is not None], timeout_s)
            case Wait(length_s=length_s):
                # What is left may be nothing: then the call ends after the wait.
                self._wait(replace(invitation, program=program), length_s)
            case Fetch(source=source):
                self._fetch(invitation, (source, *invitation.sources[1:]))
            case Refuse(status=status, reason=reason):
                self._refuse(invitation, status, reason)

    def _wait(self, invitation: Invitation, length_s: int) -> None:
        """Wait, in turns if need be, and follow the document further."""
        if length_s == 0:
            self._follow(replace(invitation, wait_s=0))
            return
        turn_s = min(length_s, ksr.RESUME_WITHIN_S)
        keep(replace(invitation, wait_s=length_s - turn_s))
        if not ksr.resume_after(ON_RESUME, turn_s):
            self._refuse(invitation, 500, "Server Internal Error")

    def _route_by_default(self, invitation: Invitation) -> None:
        called = invitation.call.number
        target = self._policy.default_target(ksr.text("$ru"), called, is_to_us=ksr_proxy.is_to_us())
        if target is None or not is_sip_uri(target):
            self._refuse(invitation, 404, "Not Found")
        else:
            self._dial(invitation, [target], RING_S)

    def _dial(self, invitation: Invitation, uris: list[str], timeout_s: int) -> None:
        if not uris:
            text = "Dial: a number needs [routing] gateway, which is not set"
            notice = Notice(code=NO_GATEWAY, text=text)
            invitation = replace(invitation, notices=(*invitation.notices, notice))
            if invitation.program is not None:
                self._follow(invitation)
            else:
                self._refuse(invitation, 480, "Temporarily Unavailable")
            return
        if not invitation.dialled:
            invitation = replace(self._anchor(invitation), dialled=True)
        keep(invitation)
        ksr.set_target(uris[0])
        for uri in uris[1:]:
            ksr.add_branch(uri)
        ksr.on_reply(ON_REPLY)
        ksr.on_failure(ON_FAILURE)
        ksr.set_timers(invite_ms=timeout_s * 1000, reply_ms=min(timeout_s * 1000, SILENCE_MS))
        if not ksr.relay():
            self._refuse(invitation, 500, "Server Internal Error")

    def _anchor(self, invitation: Invitation) -> Invitation:
        """Offer the media to rtpengine, on the first dial only, and stay on the path."""
        if not ksr_proxy.track_dialog():
            ksr.log("warning", f"{invitation.call.sid} cannot be ended by us, should it have to")
        offered = ksr_proxy.has_sdp()
        call = replace(invitation.call, is_srtp=offered and ksr_proxy.has_srtp())
        invitation = replace(invitation, call=call, offered=offered)
        if offered:
            negotiation.note_offer()
        record = self._awareness.invited(invitation)
        instance = self._media.offer(invitation.instance, record)
        if instance is not None:
            address = self._media.address(instance)
            invitation = replace(
                invitation,
                instance=instance,
                media=True,
                call=replace(call, rtpengine=address),
            )
        path = Path(call.sid, invitation.instance)
        ksr_proxy.record_route(
            make_parameter(self._route_key, call.sip_call_id, call.caller.tag, path)
        )
        return invitation

    def _refuse(self, invitation: Invitation, status: int, reason: str) -> None:
        keep(invitation)
        self._give_up(invitation, str(status))
        ksr.reply(status, reason)

    def _give_up(self, invitation: Invitation, reason: str) -> None:
        released = not invitation.media or self._media.release(invitation.instance)
        if reason not in map(str, CHALLENGES) and claim_report():
            self._reports.failed(invitation, reason, media_released=released)


def _brief(notice: Notice) -> Notice:
    """Leave out what the server answered: all notices of a call travel in one datagram."""
    request = notice.request
    if request is None:
        return notice
    brief = WebRequest(url=request.url, method=request.method, status=request.status)
    return replace(notice, request=brief)
