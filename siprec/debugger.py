"""What an account's debugger webhook is told of each of its alerts. Pure."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from siprec.alerts import Alert
from siprec.model import CallbackMethod
from siprec.stream_events import timestamp
from siprec.web_request import WebRequest

PAYLOAD_TYPE = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCallback:
    """An alert, and where its account wants it sent. `url` may end in overrides.

    It is sent as a `siprec.stream_events.Callback` is, and has what that has.
    """

    alert: Alert
    account_sid: str
    url: str
    method: CallbackMethod = CallbackMethod.POST

    @property
    def order_key(self) -> str:
        """Name that within which alerts are sent in order: the stream, else the call, else it."""
        alert = self.alert
        return alert.stream_sid or alert.call_sid or alert.sid

    @property
    def kind(self) -> str:
        """Tell its receiver from one of another kind at the same host."""
        return "alert"

    @property
    def what(self) -> str:
        """Name it for people."""
        return f"alert {self.alert.sid}"

    @property
    def token(self) -> str:
        """Give what is the same in every try."""
        return self.alert.sid

    @property
    def fields(self) -> dict[str, str]:
        """Give what is sent, in its order."""
        return {
            "Sid": self.alert.sid,
            "AccountSid": self.account_sid,
            "ParentAccountSid": "",
            "Timestamp": timestamp(self.alert.created_ms),
            "Level": self.alert.level.value.upper(),
            "PayloadType": PAYLOAD_TYPE,
            "Payload": json.dumps(_payload(self.alert), separators=(",", ":")),
        }


def _payload(alert: Alert) -> dict[str, Any]:
    return {
        "resource_sid": alert.call_sid,
        "service_sid": None,
        "error_code": str(alert.code),
        "more_info": {
            "Msg": alert.text,
            "ErrorCode": str(alert.code),
            "LogLevel": alert.level.value.upper(),
            "CallSid": alert.call_sid,
            "SiprecSid": alert.stream_sid,
            "ConnectorName": alert.connector_name,
            "Srs": alert.srs,
            "SipStatus": alert.sip_status,
            "SipReason": alert.sip_reason,
            "Advice": alert.advice,
        },
        "webhook": _webhook(alert.request),
    }


def _webhook(request: WebRequest | None) -> dict[str, Any]:
    return {
        "type": PAYLOAD_TYPE,
        "request": {
            "url": None if request is None else request.url,
            "method": None if request is None else request.method,
            "headers": {},
            "parameters": {} if request is None else _fields(request.variables),
        },
        "response": {
            "status_code": None if request is None else request.status,
            "headers": {} if request is None else _fields(request.headers),
            "body": None if request is None else request.body,
        },
    }


def _fields(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))
