"""One callback, sent once more: the request, its signature, and what the answer means."""

from collections.abc import Callable
from dataclasses import dataclass

from siprec.debugger import AlertCallback
from siprec.model import CallbackMethod
from siprec.record import RecordError
from siprec.store import StoreUnavailable
from siprec.stream_events import Callback
from siprec.web_request import WebRequest, web_request
from siprec_control.callbacks.queues import Fault
from siprec_web.errors import FetchError, FetchRefused, UrlError
from siprec_web.fetch import Fetcher
from siprec_web.overrides import parse_url
from siprec_web.signature import sign
from siprec_web.urls import shown, with_query, without_login

NOT_DELIVERED = 11200
ANSWERED_WITH_ERROR = 15003

TOKEN_HEADER = "I-Twilio-Idempotency-Token"
SIGNATURE_HEADER = "X-Twilio-Signature"

# The receiver may have another answer to the same request soon.
_LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a try; without a fault it was delivered.

    `is_final`: the same request would fail again. `is_deaf`: nobody answered.
    """

    fault: Fault | None = None
    is_final: bool = False
    is_deaf: bool = False


class Delivery:
    """Sends callbacks. `token_of` gives the token of an account, None when there is no such."""

    def __init__(self, fetcher: Fetcher, token_of: Callable[[str], str | None]) -> None:
        self._fetcher = fetcher
        self._token_of = token_of

    def send(self, callback: Callback | AlertCallback) -> Outcome:
        """Send a callback, again where its URL says so. May take as long as that allows."""
        try:
            token = self._token_of(callback.account_sid)
        except (StoreUnavailable, RecordError) as error:
            return _failed(callback, f"the account's token cannot be read: {error}")
        if token is None:
            return _failed(callback, "there is no such account any more", is_final=True)
        try:
            url, overrides = parse_url(callback.url)
        except UrlError as error:
            return _failed(callback, str(error), is_final=True)
        fields = callback.fields
        if callback.method is CallbackMethod.GET:
            url, fields = with_query(url, fields), {}
        headers = {
            SIGNATURE_HEADER: sign(token, without_login(url), fields),
            TOKEN_HEADER: callback.token,
        }
        try:
            response = self._fetcher.fetch(
                callback.method.value, url, fields=fields, headers=headers, overrides=overrides
            )
        except FetchRefused as error:
            return _failed(callback, str(error), is_final=True)
        except FetchError as error:
            return _failed(callback, str(error), is_deaf=True)
        if 200 <= response.status < 300:
            return Outcome()
        text = f"{_about(callback)}: the answer was {response.status}"
        is_final = response.status < 500 and response.status not in _LATER
        request = web_request(
            shown(callback.url),
            callback.method.value,
            callback.fields,
            response.status,
            response.headers,
            response.body,
        )
        return Outcome(fault=Fault(ANSWERED_WITH_ERROR, text, request), is_final=is_final)


def _failed(
    callback: Callback | AlertCallback,
    why: str,
    *,
    is_final: bool = False,
    is_deaf: bool = False,
) -> Outcome:
    fault = Fault(NOT_DELIVERED, f"{_about(callback)}: {why}", request_of(callback))
    return Outcome(fault=fault, is_final=is_final, is_deaf=is_deaf)


def request_of(callback: Callback | AlertCallback) -> WebRequest:
    """Give the request that a callback is, without an answer."""
    return web_request(shown(callback.url), callback.method.value, callback.fields)


def _about(callback: Callback | AlertCallback) -> str:
    return f"{callback.what} to {callback.method.value} {shown(callback.url)}"
