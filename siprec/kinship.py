"""Calls that are transfers of each other: how a new call is known to go on with an old one. Pure.

RFC 7865 §6.2: such calls are one CS group. A proxy sees it by Replaces (RFC 3891), by a REFER that
passed before and Referred-By (RFC 3892), or by a Session-ID (RFC 7989) that both have.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from siprec.model import Call
from siprec.session_id import NIL
from siprec.sip_uri import UNKNOWN_AOR, aor

_TAG = re.compile(r"(?i)(to-tag|from-tag)\s*=\s*([^\s;]+)\Z")
_PAIR = re.compile(r"(?i)\s*([0-9a-f]{32})\s*(?:;\s*remote\s*=\s*([0-9a-f]{32})\s*)?(?:;|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """What is kept of a call for those that may follow it, until `until_ms`.

    `tags` are those of its dialog, `parties` the addresses of its ends.
    """

    sid: str
    account_sid: str
    group: str
    until_ms: int
    tags: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()


def relative_of(call: Call, until_ms: int) -> Relative:
    """Give what those that follow a call need to know of it."""
    ends = (aor(call.caller.uri), aor(call.callee.uri))
    return Relative(
        sid=call.sid,
        account_sid=call.account_sid,
        group=call.group or call.sid,
        until_ms=until_ms,
        tags=tuple(sorted((call.caller.tag, call.callee.tag))),
        parties=tuple(each for each in ends if each != UNKNOWN_AOR),
    )


def parse_replaces(value: str) -> tuple[str, tuple[str, ...]]:
    """Read a Replaces header: the Call-ID and both tags, sorted; "" and () when it is none."""
    call_id, *parameters = (word.strip() for word in value.split(";"))
    matches = [match for each in parameters if (match := _TAG.match(each)) is not None]
    tags = {match[1].lower(): match[2] for match in matches}
    if not call_id or len(tags) != 2 or len(matches) != 2:
        return "", ()
    return call_id, tuple(sorted(tags.values()))


def names_of(call: Call) -> tuple[str, ...]:
    """List the names that a call can be found by later: its dialog, its halves of Session-ID."""
    return (_name("dialog", call.sip_call_id), *_sessions(call))


def refer_name(referred_by: str, target: str) -> str:
    """Name the REFER with which somebody sends a party to a target; "" when they are no URIs."""
    by, to = aor(referred_by), aor(target)
    return "" if UNKNOWN_AOR in (by, to) else _name("refer", f"{by} {to}")


def names_followed(call: Call) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Go through the names that a call before this one may have, the surest first.

    With each come the tags that its dialog must have; none: any.
    """
    kinship = call.kinship
    if kinship is not None and kinship.replaces:
        yield _name("dialog", kinship.replaces), kinship.tags
    if kinship is not None and (name := refer_name(kinship.referred_by, kinship.target)):
        yield name, ()
    for name in _sessions(call):
        yield name, ()


def chosen(call: Call, tags: tuple[str, ...], found: Iterable[Relative]) -> Relative | None:
    """Give the one call that is followed: of the same account, and no other fits as well.

    Of several, say of those that a desk puts through to one person, it is that of the caller.
    """
    fitting = [
        each
        for each in found
        if each.sid != call.sid and each.account_sid == call.account_sid and tags in ((), each.tags)
    ]
    caller = aor(call.caller.uri)
    for each in (fitting, [each for each in fitting if caller in each.parties]):
        # A transfer of a transfer: several calls of one group are as good as one.
        if len({relative.group for relative in each}) == 1:
            return each[0]
    return None


def _sessions(call: Call) -> tuple[str, ...]:
    pair = _PAIR.match((call.session_id or "").lower())
    uuids = dict.fromkeys(pair.groups(NIL) if pair is not None else ())
    return tuple(_name("session", uuid) for uuid in uuids if uuid != NIL)


def _name(kind: str, value: str) -> str:
    """Name a Redis key's rest: whatever peers write, it is short and clean."""
    digest = hashlib.blake2s(value.encode("utf-8", "surrogateescape"), digest_size=16)
    return f"{kind}:{digest.hexdigest()}"
