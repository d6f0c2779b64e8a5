"""The BYEs that end a call of two others: one to each, as if the other had hung up. Pure.

They are written from what Kamailio's dialog module knows, but not sent by it: when the first is
answered before the module has sent the second, it takes the dialog for over and sends no second
(seen with 5.6.3). It also counts neither PRACK nor what came before the answer.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# RFC 3261 §12.2.2: a gap in CSeq is no error; a number that was used before is.
CSEQ_GAP = 100
LOST = 'SIP;cause=503;text="Recording lost"'
ORDERED = 'Q.850;cause=16;text="Normal call clearing"'

# What set_contact_alias noted: address, port and protocol that a message really came from.
_ALIAS = re.compile(r";alias=([^~;]+)~(\d+)~(\d)")
_TRANSPORTS = {"1": "udp", "2": "tcp", "3": "tls"}
_FIRST_URI = re.compile(r"<([^>]+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """One BYE, as `ksr.send_request` takes it."""

    uri: str
    next_hop: str
    socket: str
    headers: str


def farewells(dialog: Mapping[str, Any], reason: str) -> Iterator[Farewell]:
    """Write the BYEs of a dialog, given as the RPC `dlg.list_match` has it.

    `reason` is what their Reason says (RFC 3326).

    Raises:
        KeyError, ValueError: the dialog is not whole.
    """
    caller, callee = dialog["caller"], dialog["callee"]
    from_uri, to_uri = dialog["from_uri"], dialog["to_uri"]
    for to, to_party, sender, party in (
        (caller, from_uri, callee, to_uri),
        (callee, to_uri, caller, from_uri),
    ):
        uri, next_hop = _way(to["contact"], to["route_set"])
        lines = [
            f"From: <{party}>;tag={sender['tag']}",
            f"To: <{to_party}>;tag={to['tag']}",
            f"Call-ID: {dialog['call-id']}",
            f"CSeq: {int(sender['cseq']) + CSEQ_GAP} BYE",
            "Max-Forwards: 70",
            f"Reason: {reason}",
        ]
        if to["route_set"]:
            lines.append(f"Route: {to['route_set']}")
        headers = "".join(f"{line}\r\n" for line in lines)
        yield Farewell(uri=uri, next_hop=next_hop, socket=to["socket"], headers=headers)


def _way(contact: str, route_set: str) -> tuple[str, str]:
    """Give Request-URI and next hop (RFC 3261 §12.2.1.1)."""
    first = _FIRST_URI.search(route_set)
    if first is not None:
        return contact, first[1]
    alias = _ALIAS.search(contact)
    if alias is None:
        return contact, contact
    host, port, protocol = alias.groups()
    uri = contact[: alias.start()] + contact[alias.end() :]
    return uri, f"sip:{host}:{port};transport={_TRANSPORTS[protocol]}"
