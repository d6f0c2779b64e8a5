"""Typed façade of Kamailio's KEMI API, for both roles.

KEMI answers 1 (true), -1 (false), other negatives (errors) and 0 (stop): here they become bool.
Pseudo-variables become str, and bytes that are not UTF-8 are replaced, not raised
(app_python3 5.6 raises inside the handler and leaves the request unanswered).
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import KSR

_PV = re.compile(r"\$(?:(?P<bare>[A-Za-z_]+)|\((?P<braced>[^{]+)\)|(?P<call>[A-Za-z_]+\(.*\)))\Z")

LEVELS = {"debug": "dbg", "info": "info", "warning": "warn", "error": "err"}


# async refuses more than 30 s; tm gives up what is suspended for longer than fr_timer, 32 s.
RESUME_WITHIN_S = 25


def log(level: str, text: str) -> None:
    """Log one line at debug, info, warning or error."""
    KSR.log(LEVELS[level], text.replace("\n", " ") + "\n")


def hook(function: Callable[..., None]) -> Callable[..., int]:
    """Make a handler safe at its edge: log what it raises, let the call go on, return 1.

    app_python3 5.6 poisons the next KSR call of the process when a handler returns None.
    """

    @functools.wraps(function)
    def guarded(*arguments: Any) -> int:
        try:
            function(*arguments)
        except Exception as error:
            log("error", f"{function.__name__}: {type(error).__name__}: {error}")
        return 1

    return guarded


def text(variable: str) -> str:
    """Read a pseudo-variable such as `$ci` or `$hdr(From)`; empty when it is null."""
    try:
        value = KSR.pv.get(variable)
    except UnicodeDecodeError:
        value = _latin(variable)
    return "" if value is None else str(value)


def _latin(variable: str) -> str:
    match = _PV.match(variable)
    if match is None:
        return ""
    name = match["bare"] or match["braced"] or match["call"]
    digits = KSR.pv.get(f"$({name}{{s.encode.hexa}})")
    return bytes.fromhex(digits or "").decode("utf-8", "replace")


def octets(variable: str) -> bytes:
    """Read a pseudo-variable, named without its `$`, as it came: NUL and all."""
    return bytes.fromhex(KSR.pv.get(f"$({variable}{{s.encode.hexa}})") or "")


def number(variable: str) -> int:
    """Read a numeric pseudo-variable; 0 when it is null."""
    value = KSR.pv.get(variable)
    return int(value) if value else 0


def is_set(variable: str) -> bool:
    """Tell whether a pseudo-variable has a value."""
    return not KSR.pv.is_null(variable)


def set_text(variable: str, value: str) -> None:
    """Write a pseudo-variable, such as `$avp(name)` or `$ru`."""
    KSR.pv.sets(variable, value)


def header(name: str) -> str:
    """Read the first header of that name in the message at hand."""
    return text(f"$hdr({name})")


def headers(name: str) -> list[str]:
    """Read all headers of that name, top to bottom."""
    count = number(f"$hdrc({name})")
    return [text(f"$(hdr({name})[{index}])") for index in range(count)]


# Stateless and transaction


def reply_stateless(status: int, reason: str) -> None:
    """Answer without a transaction."""
    KSR.sl.sl_send_reply(status, reason)


def new_transaction() -> bool:
    """Make the transaction; before the first I/O of a handler, for CANCEL and repeats."""
    return int(KSR.tm.t_newtran()) > 0


def has_transaction() -> bool:
    """Tell whether the message at hand has a transaction, without looking for one."""
    return is_set("$T(id_index)")


def is_known_transaction() -> bool:
    """Tell whether the request matches a transaction; a repeat has then been answered by tm."""
    return int(KSR.tm.t_check_trans()) > 0


def is_repeat_absorbed() -> bool:
    """Tell whether tm dealt with this request: a retransmission, or the ACK of a refusal."""
    return int(KSR.tm.t_check_trans()) == 0


def reply(status: int, reason: str) -> None:
    """Answer in the transaction."""
    KSR.tm.t_reply(status, reason)


def relay() -> bool:
    """Send the request on, statefully."""
    return int(KSR.tm.t_relay()) > 0


def on_reply(route: str) -> None:
    """Name the handler of replies of this transaction."""
    KSR.tm.t_on_reply(route)


def on_failure(route: str) -> None:
    """Name the handler that runs when all branches failed."""
    KSR.tm.t_on_failure(route)


def is_cancelled() -> bool:
    """Tell whether the caller cancelled the transaction."""
    return int(KSR.tm.t_is_canceled()) > 0


def failure_status() -> int:
    """Give the status of the reply that won, in a failure handler."""
    return int(KSR.tm.t_get_status_code())


def is_timeout() -> bool:
    """Tell whether, in a failure handler, nobody answered."""
    return int(KSR.tm.t_branch_timeout()) > 0


def set_timers(*, invite_ms: int, reply_ms: int) -> None:
    """Set how long tm waits for the final reply of an INVITE, and for any reply."""
    KSR.tm.t_set_fr(invite_ms, reply_ms)


def add_branch(uri: str) -> None:
    """Ring one more target in parallel."""
    KSR.corex.append_branch_uri(uri)


def set_target(uri: str) -> None:
    """Set the Request-URI; the next hop follows from it."""
    KSR.seturi(uri)


def resume_after(route: str, seconds: int) -> bool:
    """Suspend the transaction; the handler `route` goes on after so many seconds.

    At most RESUME_WITHIN_S. By the timer of milliseconds: that of seconds may be one early.
    """
    return int(getattr(KSR, "async").ms_route(route, seconds * 1000)) >= 0


def suspend() -> tuple[int, int] | None:
    """Suspend the transaction; its index and label, or None when that failed."""
    if int(KSR.tmx.t_suspend()) < 0:
        return None
    return number("$T(id_index)"), number("$T(id_label)")


def resume(index: int, label: int, route: str) -> bool:
    """Go on with a suspended transaction of this node, in the handler `route`, here and now."""
    return int(KSR.tmx.t_continue(index, label, route)) > 0


# Requests of our own


def send_request(
    *, method: str, uri: str, next_hop: str, socket: str, headers: str, body: str
) -> bool:
    """Send a request statefully. `headers` holds From, To, Call-ID and CSeq as well."""
    return int(KSR.tm.t_uac_send(method, uri, next_hop, socket, headers, body)) > 0


def append_header(line: str) -> None:
    """Add a header line (with CRLF) to the message at hand."""
    KSR.hdr.append(line)


def append_reply_header(line: str) -> None:
    """Add a header line (with CRLF) to the reply that is about to be made."""
    KSR.hdr.append_to_reply(line)


def set_reply_body(body: str, content_type: str) -> None:
    """Give the reply that is about to be made a body."""
    KSR.textops.set_reply_body(body, content_type)


def rpc(request: str) -> str:
    """Run a JSON-RPC request; its JSON reply."""
    KSR.jsonrpcs.exec(request)
    return text("$jsonrpl(body)")
