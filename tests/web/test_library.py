"""Documents of the web: which source gives one, what is noted, how long it is kept."""

from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network

import pytest

from siprec.model import CallbackMethod
from siprec.store import StoreUnavailable
from siprec.twiml import Source, compile_document
from siprec_documents.library import KEPT, MAX_BYTES, TOO_MANY, Library, Wanted, fresh_s
from siprec_web.fetch import Fetcher
from siprec_web.guard import Guard
from tests.web.servers import Answer, Server, say

REJECT = b"<Response><Reject/></Response>"
PROGRAM = compile_document(REJECT)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Close at the end what a test has opened."""
    with ExitStack() as stack:
        yield stack


def library(token: str | None = "token") -> Library:
    guard = Guard([ip_network("127.0.0.0/8")])
    return Library(Fetcher(guard, max_bytes=MAX_BYTES), lambda sid: token)


def serve(opened: ExitStack, answer: Answer) -> Server:
    return opened.enter_context(Server(answer))


def ask(*urls: str, base: str = "", account: str = "AC1", method: str = "POST") -> Wanted:
    sources = tuple(Source(url=url, method=CallbackMethod(method)) for url in urls)
    return Wanted(
        account_sid=account,
        sources=sources,
        fields=(("CallSid", "CA1"),),
        base=base,
    )


def test_first_source_that_has_a_document_gives_it(opened: ExitStack) -> None:
    refused = "http://10.0.0.1/"
    broken, torn = serve(opened, say(500)), serve(opened, say(200, b"<Response>"))
    good, unused = serve(opened, say(200, REJECT)), serve(opened, say(200, REJECT))
    found = library().find(ask(refused, "ftp://h/", broken.url, torn.url, good.url, unused.url))
    assert (found.program, found.url) == (PROGRAM, good.url)
    assert [notice.code for notice in found.notices] == [11200, 11200, 11200, 12100]
    assert "may not be reached" in found.notices[0].text
    assert "the answer was 500" in found.notices[2].text
    requests = [notice.request for notice in found.notices]
    assert [each and each.status for each in requests] == [None, None, 500, 200]
    assert requests[3] is not None
    assert (requests[3].url, requests[3].method) == (torn.url, "POST")
    assert (requests[3].variables, requests[3].body) == ("CallSid=CA1", "<Response>")
    assert unused.asked == []


def test_nothing_is_found_where_nothing_is(opened: ExitStack) -> None:
    found = library().find(ask(serve(opened, say(404)).url))
    assert (found.program, found.url, len(found.notices)) == (None, "", 1)


def test_secrets_of_urls_are_not_told(opened: ExitStack) -> None:
    server = serve(opened, say(404))
    url = server.url.replace("//", "//me:secret@") + "?key=hidden"
    (notice,) = library().find(ask(url)).notices
    assert "secret" not in notice.text
    assert "hidden" not in notice.text


def test_relative_url_is_one_of_the_document_before(opened: ExitStack) -> None:
    server = serve(opened, say(200, REJECT))
    assert library().find(ask("b?c", base=f"{server.url}x/a")).url == f"{server.url}x/b?c"


def test_request_of_an_account_without_token_is_not_signed(opened: ExitStack) -> None:
    server = serve(opened, say(200, REJECT))
    library(None).find(ask(server.url))
    library().find(ask(server.url, method="GET"))
    first, second = server.asked
    assert "x-twilio-signature" not in first.headers
    assert second.headers["x-twilio-signature"]
    assert (second.method, second.path) == ("GET", "/?CallSid=CA1")


def test_redis_that_is_away_is_a_reason_too(opened: ExitStack) -> None:
    def token_of(sid: str) -> str | None:
        raise StoreUnavailable("Redis is away")

    guard = Guard([ip_network("127.0.0.0/8")])
    server = serve(opened, say(200, REJECT))
    (notice,) = Library(Fetcher(guard), token_of).find(ask(server.url)).notices
    assert "Redis is away" in notice.text


NOW_S = 1_000_000.0
IN_A_MINUTE, A_MINUTE_AGO = "Mon, 12 Jan 1970 13:47:40 GMT", "Mon, 12 Jan 1970 13:45:40 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("max-age=60", 60),
        ('public, Max-Age = "5"', 5),
        ("max-age=0", 0),
        ("max-age=99999999", 3_600),
        ("no-store, max-age=60", 0),
        ("max-age=60, no-cache", 0),
        ("private, max-age=60", 0),
        ("s-maxage=60", 0),
        ("max-age=x", 0),
    ],
)
def test_headers_say_how_long_a_document_is_kept(header: str, seconds: float) -> None:
    assert fresh_s({"cache-control": header}, NOW_S) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"expires": IN_A_MINUTE}, 60),
        ({"expires": IN_A_MINUTE, "date": A_MINUTE_AGO}, 120),
        ({"expires": IN_A_MINUTE, "date": "now"}, 60),
        ({"expires": A_MINUTE_AGO}, 0),
        ({"expires": "0"}, 0),
        ({"expires": "Mon, 12 Jan 1970 13:47:40 -0000"}, 60),
        ({"expires": IN_A_MINUTE, "cache-control": "max-age=5"}, 5),
        ({"expires": IN_A_MINUTE, "cache-control": "max-age=x"}, 0),
        ({"expires": IN_A_MINUTE, "cache-control": "no-store"}, 0),
        ({"cache-control": "max-age=60", "age": "20"}, 40),
        ({"cache-control": "max-age=60", "age": "70"}, 0),
        ({"cache-control": "max-age=60", "age": "old"}, 60),
        ({"cache-control": "max-age=60", "vary": "*"}, 0),
        ({"cache-control": "max-age=60", "vary": "Accept"}, 60),
    ],
)
def test_expires_age_and_vary_count_too(headers: dict[str, str], seconds: float) -> None:
    assert fresh_s(headers, NOW_S) == seconds


def test_document_is_kept_for_its_account_and_method(opened: ExitStack) -> None:
    server = serve(opened, say(200, REJECT, {"Cache-Control": "max-age=60"}))
    shelf = library()
    for _ in range(2):
        for request in (ask(server.url), ask(server.url, account="AC2")):
            assert shelf.find(request).program == PROGRAM
        shelf.find(ask(server.url, method="GET"))
    assert len(server.asked) == 3


def test_kept_document_is_given_without_asking_else_none_is(opened: ExitStack) -> None:
    fresh = serve(opened, say(200, REJECT, {"Cache-Control": "max-age=60"}))
    other = serve(opened, say(200, REJECT))
    shelf = library()
    for server in (fresh, other):
        shelf.find(ask(server.url))
    assert shelf.find_kept(ask(other.url, fresh.url)).program == PROGRAM
    (notice,) = shelf.find_kept(ask(other.url)).notices
    assert (notice.code, notice.text) == (11200, TOO_MANY)
    assert [len(fresh.asked), len(other.asked)] == [1, 1]


def test_only_so_many_documents_are_kept(opened: ExitStack) -> None:
    server = serve(opened, say(200, REJECT, {"Cache-Control": "max-age=60"}))
    shelf = library()
    shelf.find(ask(server.url))
    for number in range(KEPT):
        shelf.find(ask(f"{server.url}{number}"))
    shelf.find(ask(f"{server.url}{KEPT - 1}"))
    assert len(server.asked) == KEPT + 1
    shelf.find(ask(server.url))
    assert len(server.asked) == KEPT + 2


def test_document_that_is_too_large_is_said_so(opened: ExitStack) -> None:
    server = serve(opened, say(200, b" " * (MAX_BYTES + 1)))
    (notice,) = library().find(ask(server.url)).notices
    assert "over" in notice.text
