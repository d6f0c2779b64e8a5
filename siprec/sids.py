"""Names that carry their shard: sids, SIPREC Call-IDs, fork tags.

`CA` + 2 hex shard + 22 hex random + `00000000`; a stream of that call has the same 24 digits
and its ordinal in the last 8. So a stream names its call, and a start that is applied twice
after a crash makes the same stream.
"""

import binascii
import re
from typing import NamedTuple

SHARDS = 64
FORK_TAG_PREFIX = "fork-"

_SID = re.compile(r"(CA|SR)[0-9a-f]{32}\Z")
_ALERT_SID = re.compile(r"NO[0-9a-f]{32}\Z")
_LEG = re.compile(r"(SR[0-9a-f]{32})-([1-9][0-9]{0,5})-([1-9][0-9]{0,5})\Z")


class SidError(ValueError):
    """A text is not the sid it should be. `text` is what was given, `kind` what was wanted."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(f"{text!r} is not a {kind} sid ({kind} and 32 hex digits)")
        self.text = text
        self.kind = kind


def shard_of_call_id(sip_call_id: str) -> int:
    """Give the shard (0 to 63) of a call by its SIP Call-ID: CRC16 (XMODEM) mod 64."""
    return binascii.crc_hqx(sip_call_id.encode("utf-8", "surrogateescape"), 0) % SHARDS


def shard_of_sid(sid: str) -> int:
    """Give the shard that stands in a call's or stream's sid.

    Raises:
        SidError: not such a sid.
    """
    if not _SID.match(sid) or int(sid[2:4], 16) >= SHARDS:
        raise SidError(sid, sid[:2] if sid[:2] in ("CA", "SR") else "CA")
    return int(sid[2:4], 16)


def shard_of_alert_sid(sid: str) -> int:
    """Give the shard that stands in an alert's sid.

    Raises:
        SidError: not such a sid.
    """
    if not _ALERT_SID.match(sid) or int(sid[2:4], 16) >= SHARDS:
        raise SidError(sid, "NO")
    return int(sid[2:4], 16)


def make_call_sid(shard: int, random_hex: str) -> str:
    """Make the sid of a call from its shard and 22 random hex digits."""
    return f"CA{shard:02x}{random_hex[:22]}00000000"


def make_stream_sid(call_sid: str, ordinal: int) -> str:
    """Make the sid of the `ordinal`-th (from 1) stream of a call."""
    return f"SR{call_sid[2:26]}{ordinal:08x}"


def call_sid_of(stream_sid: str) -> str:
    """Give the sid of the call that a stream belongs to.

    Raises:
        SidError: not a stream's sid.
    """
    if not stream_sid.startswith("SR") or not _SID.match(stream_sid):
        raise SidError(stream_sid, "SR")
    return f"CA{stream_sid[2:26]}00000000"


class LegId(NamedTuple):
    """What a SIPREC Call-ID of ours says: the stream, which of its legs, and the attempt."""

    stream_sid: str
    leg: int
    attempt: int


def make_leg_call_id(stream_sid: str, leg: int, attempt: int) -> str:
    """Make the SIP Call-ID of the `attempt`-th SIPREC dialog of a stream's leg."""
    return f"{stream_sid}-{leg}-{attempt}"


def parse_leg_call_id(call_id: str) -> LegId | None:
    """Take a SIPREC Call-ID of ours apart, None when it is not ours."""
    match = _LEG.match(call_id)
    if match is None or int(call_id[2:4], 16) >= SHARDS:
        return None
    return LegId(match[1], int(match[2]), int(match[3]))


def make_fork_tag(stream_sid: str, leg: int, forks: int) -> str:
    """Make the rtpengine tag of the `forks`-th fork of a leg. One tag, one fixed set of parties."""
    return f"{FORK_TAG_PREFIX}{stream_sid}-{leg}-{forks}"
