"""What people are told of a stream: which of its changes is which SiprecEvent. Pure.

`siprec.changes` derives the events as a stream changes. They are saved with it, for all who
follow (`{sNN}:events`) and, where the stream has a status callback, for the callback worker.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from siprec.call_parameters import (
    API_VERSION,
    DIRECTION,
    call_status,
    called_of,
    caller_of,
)
from siprec.model import Call, CallbackMethod, Stream, StreamOrder, StreamState

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = uuid.UUID("5f7d1f0c-5a0e-4a53-9d3e-1a6a3c6f4f0e")


class SiprecEvent(StrEnum):
    """What happened to a stream. Sent and stored."""

    STARTED = "siprec-started"
    STOPPED = "siprec-stopped"
    ERROR = "siprec-error"
    PAUSED = "siprec-paused"
    RESUMED = "siprec-resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """Something that happened to a stream, and its call as it was then.

    `token` is another one for each event. `caller` and `called` are as From and To say it.
    `stream_sid` is empty, and `name` that of the order, when the stream was refused.
    `error_code` is an alert code.
    """

    token: str
    kind: SiprecEvent
    at_ms: int
    account_sid: str
    call_sid: str
    caller: str = ""
    called: str = ""
    call_status: str = ""
    stream_sid: str = ""
    name: str = ""
    error_code: int | None = None
    error_text: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """Give what a status callback sends, in its order."""
        plain = {
            "AccountSid": self.account_sid,
            "CallSid": self.call_sid,
            "From": self.caller,
            "To": self.called,
            "CallStatus": self.call_status,
            "ApiVersion": API_VERSION,
            "Direction": DIRECTION,
            "SiprecSid": self.stream_sid,
            "SiprecName": self.name,
            "SiprecEvent": self.kind.value,
            "Timestamp": timestamp(self.at_ms),
        }
        if self.kind is SiprecEvent.ERROR:
            plain["SiprecError"] = self.error_text or ""
            plain["SiprecErrorCode"] = str(self.error_code or "")
        return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """An event, and where its stream's order wants it sent. `url` may end in overrides."""

    event: StreamEvent
    url: str
    method: CallbackMethod = CallbackMethod.POST
    connector_name: str = ""

    @property
    def order_key(self) -> str:
        """Name that within which callbacks are sent in order: the stream, else the call."""
        return self.event.stream_sid or self.event.call_sid

    @property
    def account_sid(self) -> str:
        """Give whose it is."""
        return self.event.account_sid

    @property
    def kind(self) -> str:
        """Tell its receiver from one of another kind at the same host."""
        return "callback"

    @property
    def what(self) -> str:
        """Name it for people."""
        return self.event.kind.value

    @property
    def token(self) -> str:
        """Give what is the same in every try."""
        return self.event.token

    @property
    def fields(self) -> dict[str, str]:
        """Give what is sent, in its order."""
        return self.event.fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A callback that was given up: the alert code and a text for people say why."""

    callback: Callback
    code: int
    text: str
    failed_ms: int


def stream_events(
    call: Call, before: Stream | None, after: Stream, now_ms: int
) -> list[StreamEvent]:
    """Give the events that a change of a stream amounts to, in order; `before` None: it is new."""
    common = _of_call(call) | {"stream_sid": after.sid, "name": after.order.name}
    found = []
    for count, kind in enumerate(_kinds(before, after)):
        event = StreamEvent(
            token=_token(after.sid, kind, now_ms, count),
            kind=kind,
            at_ms=now_ms,
            error_code=after.error_code if kind is SiprecEvent.ERROR else None,
            error_text=after.error_text if kind is SiprecEvent.ERROR else None,
            **common,
        )
        found.append(event)
    return found


def refusal_event(
    call: Call, order: StreamOrder, code: int, text: str, now_ms: int, count: int
) -> StreamEvent:
    """Give the event of a stream of a document that could not be begun.

    `count` tells several of one call and moment from each other.
    """
    return StreamEvent(
        token=_token(call.sid, SiprecEvent.ERROR, now_ms, count),
        kind=SiprecEvent.ERROR,
        at_ms=now_ms,
        name=order.name,
        error_code=code,
        error_text=text,
        **_of_call(call),
    )


def callback_of(event: StreamEvent, order: StreamOrder) -> Callback | None:
    """Give the callback that the order wants of an event, if it wants any."""
    if not order.status_callback:
        return None
    return Callback(
        event=event,
        url=order.status_callback,
        method=order.status_callback_method,
        connector_name=order.connector_name,
    )


def timestamp(at_ms: int) -> str:
    """Give a time as ISO 8601 in UTC with microseconds: `2026-01-02T03:04:05.678000Z`."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _kinds(before: Stream | None, after: Stream) -> Iterator[SiprecEvent]:
    was_recorded = before is not None and before.recording_ms is not None
    was_failed = before is not None and before.error_code is not None
    was_silent = before is not None and before.is_silent
    is_new_state = before is None or before.state is not after.state
    if after.recording_ms is not None and not was_recorded:
        yield SiprecEvent.STARTED
    if after.is_silent and not was_silent:
        yield SiprecEvent.PAUSED
    if was_silent and not after.is_silent:
        yield SiprecEvent.RESUMED
    if after.error_code is not None and not was_failed:
        yield SiprecEvent.ERROR
    if after.state is StreamState.STOPPED and is_new_state:
        yield SiprecEvent.STOPPED


def _of_call(call: Call) -> dict[str, str]:
    return {
        "account_sid": call.account_sid,
        "call_sid": call.sid,
        "caller": caller_of(call),
        "called": called_of(call),
        "call_status": call_status(call),
    }


def _token(sid: str, kind: SiprecEvent, now_ms: int, count: int) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{sid} {kind.value} {now_ms} {count}"))
