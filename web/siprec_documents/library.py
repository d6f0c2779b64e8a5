"""Documents of the web: fetched with the parameters of a call, compiled, kept as headers allow.

RFC 9111 §5.2.2. What goes wrong with one source is noted, and the next one is asked.
"""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from siprec.inbox import Notice
from siprec.model import CallbackMethod
from siprec.record import RecordError
from siprec.store import StoreUnavailable
from siprec.twiml import MAX_DOCUMENT_BYTES, Program, Source, TwimlError, compile_document
from siprec.web_request import web_request
from siprec_web.errors import FetchError, UrlError
from siprec_web.fetch import Fetcher, Response
from siprec_web.overrides import parse_url
from siprec_web.signature import sign
from siprec_web.urls import shown, with_login, with_query, without_login

NOT_FETCHED = 11200
TOO_MANY = "too many calls of this account wait for documents: its servers are slow"
KEPT = 1_000
LONGEST_S = 3_600.0

_MAX_AGE = re.compile(r"(?i)(?:^|,)\s*max-age\s*=\s*\"?(\d{1,9})")
_NOT_KEPT = re.compile(r"(?i)(?:^|,)\s*(?:no-store|no-cache|private)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where a call's document may be; `base` is what relative URLs go by.

    `fields` are the parameters of the call.
    """

    account_sid: str
    sources: tuple[Source, ...]
    fields: tuple[tuple[str, str], ...]
    base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The document to follow, None when there is none, and its URL; what people should know."""

    program: Program | None = None
    url: str = ""
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    until_s: float
    program: Program
    url: str


class Library:
    """Used by many threads. `token_of` gives the token of an account that signs its requests."""

    def __init__(self, fetcher: Fetcher, token_of: Callable[[str], str | None]) -> None:
        self._fetcher = fetcher
        self._token_of = token_of
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, wanted: Wanted, fit: Callable[[Program], Program] = lambda each: each) -> Found:
        """Ask the sources in turn. May take as long as their URLs allow, one after the other.

        `fit` gives what is to be followed of a document; a TwimlError of it: that is no use.
        """
        notices: list[Notice] = []
        for source in wanted.sources:
            url = urljoin(wanted.base, source.url)
            answers: list[Response] = []
            try:
                program, where = self._document(wanted, source.method, url, answers)
                program = fit(program)
            except (TwimlError, FetchError, UrlError, StoreUnavailable, RecordError) as error:
                notices.append(_notice(wanted, source.method, url, error, answers))
            else:
                return Found(program=program, url=where, notices=tuple(notices))
        return Found(notices=tuple(notices))

    def find_kept(self, wanted: Wanted) -> Found:
        """Give the first of the documents that is kept, without asking anybody; never waits."""
        for source in wanted.sources:
            url = urljoin(wanted.base, source.url)
            kept = self._kept_under((wanted.account_sid, source.method.value, url))
            if kept is not None:
                return Found(program=kept.program, url=kept.url)
        return Found(notices=(Notice(code=NOT_FETCHED, text=TOO_MANY),))

    def _kept_under(self, key: tuple[str, str, str]) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(key)
        return kept if kept is not None and time.monotonic() < kept.until_s else None

    def _document(
        self, wanted: Wanted, method: CallbackMethod, url: str, answers: list[Response]
    ) -> tuple[Program, str]:
        """Give a document and its URL; the answer that brought it is added to `answers`."""
        key = (wanted.account_sid, method.value, url)
        if kept := self._kept_under(key):
            return kept.program, kept.url
        response = self._fetch(wanted, method, url)
        answers.append(response)
        if not 200 <= response.status < 300:
            raise Unfit(f"the answer was {response.status}")
        program = compile_document(response.body)
        where = with_login(response.url, url)
        self._keep(key, response, program, where)
        return program, where

    def _fetch(self, wanted: Wanted, method: CallbackMethod, url: str) -> Response:
        plain, overrides = parse_url(url)
        fields = dict(wanted.fields)
        if method is CallbackMethod.GET:
            plain, fields = with_query(plain, fields), {}
        token = self._token_of(wanted.account_sid)
        headers = {"Accept": "application/xml, text/xml, */*;q=0.5"}
        if token is not None:
            headers["X-Twilio-Signature"] = sign(token, without_login(plain), fields)
        return self._fetcher.fetch(
            method.value, plain, fields=fields, headers=headers, overrides=overrides
        )

    def _keep(
        self, key: tuple[str, str, str], response: Response, program: Program, where: str
    ) -> None:
        seconds = fresh_s(response.headers, time.time())
        if seconds <= 0:
            return
        with self._lock:
            self._kept[key] = _Kept(time.monotonic() + seconds, program, where)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def _notice(
    wanted: Wanted, method: CallbackMethod, url: str, error: Exception, answers: list[Response]
) -> Notice:
    """Tell of a document that is no use, and of the answer if one came."""
    where, fields = shown(url), dict(wanted.fields)
    request = web_request(where, method.value, fields)
    for answer in answers:
        request = web_request(
            where, method.value, fields, answer.status, answer.headers, answer.body
        )
    code = error.code if isinstance(error, TwimlError) else NOT_FETCHED
    return Notice(code=code, text=f"{where}: {error}", request=request)


class Unfit(FetchError):
    """An answer that is no document."""


def fresh_s(headers: Mapping[str, str], now_s: float) -> float:
    """Tell for how long a document may be kept: only where its server says so, an hour at most.

    `headers` have names in lower case, `now_s` is the time since 1970. RFC 9111 §4.2, §5.2.2;
    where something is not understood, nothing is kept.
    """
    control = headers.get("cache-control", "")
    if _NOT_KEPT.search(control) or "*" in headers.get("vary", ""):
        return 0.0
    age = _MAX_AGE.search(control)
    if age is not None:
        life_s = float(age[1])
    elif "max-age" in control.lower():
        return 0.0
    else:
        # §5.3: max-age comes first. The server's own clock says what Expires means.
        expires_s = _time_s(headers.get("expires", ""))
        life_s = expires_s - (_time_s(headers.get("date", "")) or now_s) if expires_s else 0.0
    spent = headers.get("age", "")
    # §5.1: what a cache on the way has had already.
    life_s -= float(spent) if re.fullmatch("[0-9]{1,9}", spent) else 0.0
    return max(0.0, min(life_s, LONGEST_S))


def _time_s(text: str) -> float:
    """Read an HTTP date; 0.0 when it is none."""
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return 0.0
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


MAX_BYTES = MAX_DOCUMENT_BYTES + 1
"""One byte more than may be: the compiler says that it is too much."""
