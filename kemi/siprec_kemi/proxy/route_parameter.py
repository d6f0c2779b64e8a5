"""The Record-Route parameter: which call a request in a dialog belongs to, and that it is ours.

`;sp=CA….0.1a2b3c4d.5e6f7a8b` is the call's sid, the rtpengine instance, and a keyed digest over
all of it and the Call-ID, so that nobody can send requests through us on a path that we did not
make. A second digest has the caller's tag in it, and tells who of the two sends a request.
"""

import hashlib
import re
from dataclasses import dataclass

NAME = "sp"

_VALUE = re.compile(r"(?:^|;)sp=(CA[0-9a-f]{32})\.(\d{1,2})\.([0-9a-f]{16})\.([0-9a-f]{16})(?:;|$)")


@dataclass(frozen=True, slots=True)
class Path:
    """What the parameter says, and whether the request at hand is the callee's."""

    call_sid: str
    instance: int
    is_from_callee: bool = False


def _digest(key: bytes, *seen: object) -> str:
    text = "\0".join(map(str, seen)).encode("utf-8", "surrogateescape")
    return hashlib.blake2s(text, key=key, digest_size=8).hexdigest()


def make_parameter(key: bytes, sip_call_id: str, caller_tag: str, path: Path) -> str:
    """Make the parameter, with its leading semicolon."""
    seen = (path.call_sid, path.instance, sip_call_id)
    by_caller = _digest(key, *seen, caller_tag)
    digest = _digest(key, *seen, by_caller, "all")
    return f";{NAME}={path.call_sid}.{path.instance}.{digest}.{by_caller}"


def read_parameter(key: bytes, sip_call_id: str, parameters: str, from_tag: str) -> Path | None:
    """Read the parameter out of a Route's parameters; None when it is missing or forged.

    `from_tag` is that of the request.
    """
    match = _VALUE.search(parameters)
    if match is None:
        return None
    seen = (match[1], int(match[2]), sip_call_id)
    if match[3] != _digest(key, *seen, match[4], "all"):
        return None
    return Path(match[1], int(match[2]), match[4] != _digest(key, *seen, from_tag))
