"""A live call that is to follow another document: `Twiml`, or `Url` and what goes with it.

What can be followed at once is, and what goes wrong with it is the answer. From the first `<Pause>`
or `<Redirect>` on, and of a URL all, is for the worker for documents: nobody waits for it.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace

from siprec.document_store import PER_ACCOUNT
from siprec.live_documents import LiveDocument, at_once, live_program
from siprec.model import Call
from siprec.twiml import Program, Step, TwimlError, Verb, compile_document
from siprec_control.hang_up import NotOurs, hang_up
from siprec_control.rest.desk import Desk
from siprec_control.rest.errors import NOT_IN_PROGRESS, TOO_MANY, ApiError, bad_value
from siprec_control.rest.siprecs import find, start_on
from siprec_control.rest.url_fields import URL_FIELDS, sources_of
from siprec_web.errors import UrlError
from siprec_web.overrides import parse_url

FIELDS = ("Twiml", *URL_FIELDS)
RETRY_AFTER_S = 10


def read_update(call: Call, fields: Mapping[str, str]) -> LiveDocument:
    """Read what a form asks a call to follow; nothing is done yet.

    Raises:
        ApiError: names the field.
    """
    made = LiveDocument(
        token=secrets.token_hex(16), call_sid=call.sid, account_sid=call.account_sid
    )
    if "Twiml" not in fields:
        sources = sources_of(fields)
        return replace(made, sources=sources, fallback=sources[1:])
    for name in URL_FIELDS:
        if name in fields:
            raise bad_value(name, "does not go with Twiml")
    return replace(made, program=_program(fields["Twiml"]), fetches=1)


def follow(desk: Desk, call: Call, document: LiveDocument) -> None:
    """Let a call follow a document instead of what it followed.

    Raises:
        ApiError: a step was refused, and with it the rest; or too many documents are under way.
    """
    store = desk.store.documents
    store.remove(call.account_sid, call.sid)
    steps = document.program.steps if document.program else ()
    count = at_once(Program(steps=steps))
    has_more = bool(document.sources) or count < len(steps)
    if has_more and store.count(call.account_sid) >= PER_ACCOUNT:
        raise _too_many()
    for step in steps[:count]:
        _follow(desk, call, step)
    if has_more and not store.put(replace(document, position=count)):
        raise _too_many()


def _follow(desk: Desk, call: Call, step: Step) -> None:
    if step.order is not None:
        start_on(desk, call, step.order)
    elif step.do is Verb.STOP:
        desk.store.orders.stop(find(desk, call, step.name).sid)
    else:
        end(desk, call)


def end(desk: Desk, call: Call) -> None:
    """End a call: by BYE, by CANCEL while it rings.

    Raises:
        ApiError: it is not ours to end.
    """
    try:
        hang_up(desk.store, call, f"ended by {desk.login.by}")
    except NotOurs as error:
        raise ApiError(400, NOT_IN_PROGRESS, str(error)) from error


def _program(text: str) -> Program:
    try:
        program = live_program(compile_document(text.encode("utf-8", "surrogateescape")))
    except TwimlError as error:
        raise bad_value("Twiml", str(error), error.code) from error
    for step in program.steps:
        if step.source is not None:
            try:
                parse_url(step.source.url)
            except UrlError as error:
                why = f"line {step.line}: <Redirect>: {error}; it is relative to nothing"
                raise bad_value("Twiml", why, 12200) from error
    return program


def _too_many() -> ApiError:
    why = f"{PER_ACCOUNT} documents of calls of this account are under way"
    return ApiError(429, TOO_MANY, why, {"Retry-After": str(RETRY_AFTER_S)})
