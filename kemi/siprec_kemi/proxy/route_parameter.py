"""The Record-Route parameter: which call a request in a dialog belongs to, and that it is ours.

`;sp=CA….0.1a2b3c4d` is the call's sid, the rtpengine instance, and a keyed digest over these
and the Call-ID, so that nobody can send requests through us on a path that we did not make.
"""

import hashlib
import re
from dataclasses import dataclass

NAME = "sp"

_VALUE = re.compile(r"(?:^|;)sp=(CA[0-9a-f]{32})\.(\d{1,2})\.([0-9a-f]{16})(?:;|$)")


@dataclass(frozen=True, slots=True)
class Path:
    """What the parameter says."""

    call_sid: str
    instance: int


def _digest(key: bytes, sip_call_id: str, call_sid: str, instance: int) -> str:
    seen = f"{call_sid}.{instance}.{sip_call_id}".encode("utf-8", "surrogateescape")
    return hashlib.blake2s(seen, key=key, digest_size=8).hexdigest()


def make_parameter(key: bytes, sip_call_id: str, path: Path) -> str:
    """Make the parameter, with its leading semicolon."""
    digest = _digest(key, sip_call_id, path.call_sid, path.instance)
    return f";{NAME}={path.call_sid}.{path.instance}.{digest}"


def read_parameter(key: bytes, sip_call_id: str, parameters: str) -> Path | None:
    """Read the parameter out of a Route's parameters; None when it is missing or forged."""
    match = _VALUE.search(parameters)
    if match is None:
        return None
    path = Path(match[1], int(match[2]))
    return path if match[3] == _digest(key, sip_call_id, path.call_sid, path.instance) else None
