"""Whether a stream may start, and what it keeps of its connector. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from siprec.changes import CallFile
from siprec.connector import Connector, Delivery, OnSecureCall
from siprec.errors import OrderError
from siprec.model import Call, Leg, Plan, StreamOrder
from siprec.orders import check_order
from siprec.srs_uri import parse_srs_uri
from siprec.tls_profile import tls_profile

UNKNOWN_CONNECTOR = 31940
TOO_MANY_TRACKS = 31960
DUPLICATE_NAME = 20001
NOT_SECURE = 32209


class Choice(NamedTuple):
    """A connector, and the URIs of its SRSs that may record now, best first."""

    connector: Connector
    srs: tuple[str, ...]


class Refusal(NamedTuple):
    """Why a stream may not start: the alert code and a text for people."""

    code: int
    text: str


Choose = Callable[[str, str], Choice | None]
Chosen = tuple[StreamOrder, Choice | None]


def choose_all(account_sid: str, orders: Iterable[StreamOrder], choose: Choose) -> list[Chosen]:
    """Look the connectors of orders up."""
    return [(order, choose(account_sid, order.connector_name)) for order in orders]


def refusal_of(
    file: CallFile, order: StreamOrder, choice: Choice | None, limit: int
) -> Refusal | None:
    """Tell why a stream may not start on a call that carries `limit` tracks; None: it may."""
    try:
        check_order(order)
    except OrderError as error:
        return Refusal(error.code, str(error))
    if choice is None:
        text = f"connectorName: no connector {order.connector_name!r}"
        return Refusal(UNKNOWN_CONNECTOR, text)
    if order.name and any(s.order.name == order.name for s in file.running):
        text = f"name: a stream {order.name!r} runs on this call already"
        return Refusal(DUPLICATE_NAME, text)
    taken = sum(len(stream.order.track.sides) for stream in file.running)
    if taken + len(order.track.sides) > limit:
        text = f"track: {taken} of at most {limit} tracks are taken"
        return Refusal(TOO_MANY_TRACKS, text)
    if choice.srs and not plan_of(choice, file.call).srs:
        text = f"connectorName: the call's media is SRTP, {order.connector_name!r} has none"
        return Refusal(NOT_SECURE, text)
    return None


def plan_of(choice: Choice, call: Call) -> Plan:
    """Keep what a stream needs of its connector, whatever becomes of that."""
    connector, srs = choice
    plan = Plan(
        srs=srs,
        is_parallel=connector.delivery is Delivery.PARALLEL,
        answer_ms=connector.answer_s * 1000,
        total_ms=connector.total_s * 1000,
        check_ms=connector.options_s * 1000,
        has_digest=bool(connector.digest_user),
        tls_profile=tls_profile(connector).name,
        end_call_ms=_end_call_ms(connector, call),
        on_secure_call=connector.on_secure_call,
        hold=connector.hold,
        metadata_by=connector.metadata_by,
        session_s=connector.session_expires_s,
        video=connector.video,
    )
    return secured(plan) if call.is_srtp else plan


def _end_call_ms(connector: Connector, call: Call) -> int | None:
    """Give after what time without a recorder the call is ended; another's proxy cannot end it."""
    if connector.end_call_s is None or call.is_plugged_in:
        return None
    return connector.end_call_s * 1000


def secured(plan: Plan) -> Plan:
    """Leave out what a call with SRTP may not be recorded by (RFC 7866 §12)."""
    if plan.on_secure_call is not OnSecureCall.REFUSE:
        return plan
    return replace(plan, srs=tuple(uri for uri in plan.srs if not is_plain(uri)))


def is_plain(srs: str) -> bool:
    """Tell whether the media toward that SRS is not encrypted."""
    return not parse_srs_uri(srs).uses_srtp


def plain_srs(legs: Iterable[Leg]) -> str:
    """Name the SRSs of those legs whose media is not encrypted, for people; "" when none is."""
    return ", ".join(leg.srs for leg in legs if is_plain(leg.srs))
