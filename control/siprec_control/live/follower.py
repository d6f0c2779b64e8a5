"""One document of a live call, followed as far as it goes without waiting.

Each step is saved before the next one. A step whose worker died is followed again under the same
name: an order for a stream reaches the call once all the same, and to hang up twice does no harm.
"""

from collections.abc import Callable
from dataclasses import replace

from siprec.call_parameters import call_parameters
from siprec.document_store import Claimed
from siprec.inbox import Notice, StartOrdered, StopOrdered
from siprec.live_documents import MAX_REDIRECTS, LiveDocument, live_program
from siprec.model import Call
from siprec.store import Store
from siprec.twiml_run import Step, Verb
from siprec.verdict import NOT_IN_PROGRESS, Verdict
from siprec_control.hang_up import NotOurs, hang_up
from siprec_documents.library import Library, Wanted
from siprec_web.overrides import url_fault

BAD_DOCUMENT = 12200
NO_SUCH_STREAM = 31952
VERDICT_S = 10


class Follower:
    """Follows documents; used by many threads. `say` writes a line of the log."""

    def __init__(self, store: Store, library: Library, say: Callable[[str], None]) -> None:
        self._store = store
        self._documents = store.documents
        self._library = library
        self._say = say

    def follow(self, claimed: Claimed) -> None:
        """Follow a document until it waits, ends, or is another's. May take a minute.

        Raises:
            StoreUnavailable: somebody goes on with it when the claim is over.
        """
        document = claimed.document
        if document is None:
            self._say(f"ERROR: a document of {claimed.call_sid} cannot be read, and is gone")
            self._documents.remove(claimed.account_sid, claimed.call_sid, claimed.claim)
        while document is not None:
            document = self._go_on(claimed.claim, document)

    def _go_on(self, claim: str, document: LiveDocument) -> LiveDocument | None:
        """Do what comes next; None: there is nothing more for us to do."""
        call = self._store.call(document.call_sid)
        if call is None or call.ended_ms is not None:
            self._end(claim, document)
            return None
        if document.sources:
            return self._fetch(claim, document, call)
        step = document.step
        if step is None:
            self._end(claim, document)
            return None
        if step.do is Verb.HANGUP:
            self._hang_up(document, call, step)
            self._end(claim, document)
            return None
        if step.do is Verb.REDIRECT:
            return self._redirect(claim, document, step)
        after = replace(document, position=document.position + 1)
        if step.do is Verb.PAUSE:
            self._documents.save(claim, after, step.length_s * 1000)
            return None
        if not self._order(document, step):
            self._end(claim, document)
            return None
        return after if self._documents.save(claim, after) else None

    def _hang_up(self, document: LiveDocument, call: Call, step: Step) -> None:
        try:
            hang_up(self._store, call, "ended by the document it follows")
        except NotOurs as error:
            text = f"line {step.line}: <Hangup>: {error}"
            self._documents.fail(document, NOT_IN_PROGRESS, text)

    def _order(self, document: LiveDocument, step: Step) -> bool:
        """Start or stop a stream; False: the call is over."""
        if step.order is None:
            verdict = self._ask(document, self._stop(document, step.name))
            if verdict is not None and not verdict.accepted:
                text = f"line {step.line}: <Stop>: {verdict.text}"
                self._documents.fail(document, verdict.code or NO_SUCH_STREAM, text)
            return True
        order = step.order
        if order.status_callback and (why := url_fault(order.status_callback)):
            # Nobody could order again: better recorded without callbacks than not at all.
            text = f"line {step.line}: {why}: stream {order.name!r} has no callbacks"
            self._documents.fail(document, BAD_DOCUMENT, text)
            order = replace(order, status_callback=None)
        entry = StartOrdered(
            request_id=document.request_id, call_sid=document.call_sid, order=order
        )
        verdict = self._ask(document, entry)
        # Of what else a start is refused for, the controller has raised an alert.
        return verdict is None or verdict.accepted or verdict.code != NOT_IN_PROGRESS

    def _stop(self, document: LiveDocument, name: str) -> StopOrdered:
        sid, request_id = document.call_sid, document.request_id
        return StopOrdered(request_id=request_id, stream_sid="", call_sid=sid, name=name)

    def _ask(self, document: LiveDocument, entry: StartOrdered | StopOrdered) -> Verdict | None:
        return self._documents.order(document.request_id, entry, VERDICT_S)

    def _redirect(self, claim: str, document: LiveDocument, step: Step) -> LiveDocument | None:
        if document.fetches > MAX_REDIRECTS:
            text = f"line {step.line}: <Redirect>: {MAX_REDIRECTS} were followed already"
            self._documents.fail(document, BAD_DOCUMENT, text)
            self._end(claim, document)
            return None
        source = () if step.source is None else (step.source,)
        after = replace(document, sources=(*source, *document.fallback), program=None, position=0)
        return after if self._documents.save(claim, after) else None

    def _fetch(self, claim: str, document: LiveDocument, call: Call) -> LiveDocument | None:
        wanted = Wanted(
            account_sid=document.account_sid,
            sources=document.sources,
            fields=tuple(call_parameters(call).items()),
            base=document.base,
        )
        found = self._library.find(wanted, live_program)
        after = replace(
            document,
            sources=(),
            program=found.program,
            position=0,
            base=found.url,
            fetches=document.fetches + 1,
        )
        if not self._documents.save(claim, after):
            return None
        if not self._is_over(call):
            self._tell(document, found.notices)
        # Without a program it has no step, and ends.
        return after

    def _tell(self, document: LiveDocument, notices: tuple[Notice, ...]) -> None:
        for notice in notices:
            self._documents.fail(document, notice.code, notice.text, notice.request)

    def _is_over(self, call: Call) -> bool:
        now = self._store.call(call.sid)
        return now is None or now.ended_ms is not None

    def _end(self, claim: str, document: LiveDocument) -> None:
        self._documents.remove(document.account_sid, document.call_sid, claim)
