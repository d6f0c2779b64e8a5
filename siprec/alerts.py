"""What an alert is about, and how one is made. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from siprec.alert_codes import advice_of
from siprec.inbox import CallbackFailed
from siprec.model import Call, Stream
from siprec.web_request import WebRequest


class AlertLevel(StrEnum):
    """How bad an alert is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should know. `sid` is `NO` + 32 hex, the first two its shard.

    `srs` is the URI of the SRS concerned, `sip_status` and `sip_reason` what it answered; 408 is
    ours when it did not. `advice` says what to do, "" in alerts of old. `request` is the HTTP
    request concerned.
    """

    sid: str
    account_sid: str
    code: int
    level: AlertLevel
    text: str
    created_ms: int
    call_sid: str | None = None
    stream_sid: str | None = None
    connector_name: str | None = None
    srs: str | None = None
    sip_status: int | None = None
    sip_reason: str | None = None
    advice: str = ""
    request: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whom and what an alert concerns; of no call: empty. The fields are those of `Alert`."""

    account_sid: str = ""
    call_sid: str | None = None
    stream_sid: str | None = None
    connector_name: str | None = None
    srs: str | None = None
    sip_status: int | None = None
    sip_reason: str | None = None
    request: WebRequest | None = None

    @classmethod
    def call(cls, call: Call, connector_name: str | None = None) -> Self:
        """Concern a call, and perhaps a connector that it names."""
        return cls(account_sid=call.account_sid, call_sid=call.sid, connector_name=connector_name)

    @classmethod
    def callback(cls, failed: CallbackFailed) -> Self:
        """Concern a status callback that was given up."""
        return cls(
            account_sid=failed.account_sid,
            call_sid=failed.call_sid,
            stream_sid=failed.stream_sid or None,
            connector_name=failed.connector_name or None,
            request=failed.request,
        )

    @classmethod
    def stream(cls, stream: Stream) -> Self:
        """Concern a stream, its call and its connector."""
        return cls(
            account_sid=stream.account_sid,
            call_sid=stream.call_sid,
            stream_sid=stream.sid,
            connector_name=stream.order.connector_name,
        )

    @classmethod
    def srs_of(
        cls, stream: Stream, srs: str | None, sip_status: int | None, sip_reason: str | None
    ) -> Self:
        """Concern a stream, an SRS of it, and what that answered."""
        about = cls.stream(stream)
        return replace(about, srs=srs, sip_status=sip_status, sip_reason=sip_reason)


class Alerts:
    """Makes alerts. `new_hex(n)` gives n random hex digits."""

    def __init__(self, new_hex: Callable[[int], str]) -> None:
        self._new_hex = new_hex

    def make(
        self,
        shard: int,
        about: About,
        code: int,
        text: str,
        now_ms: int,
        level: AlertLevel = AlertLevel.ERROR,
    ) -> Alert:
        """Make an alert of that shard."""
        return Alert(
            sid=f"NO{shard:02x}{self._new_hex(30)}",
            account_sid=about.account_sid,
            code=code,
            level=level,
            text=text,
            created_ms=now_ms,
            call_sid=about.call_sid,
            stream_sid=about.stream_sid,
            connector_name=about.connector_name,
            srs=about.srs,
            sip_status=about.sip_status,
            sip_reason=about.sip_reason,
            advice=advice_of(code, about.sip_status),
            request=about.request,
        )
