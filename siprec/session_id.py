"""The Session-ID header (RFC 7989): the pair of UUIDs that names a call end to end."""

import re

NIL = "0" * 32

_LOCAL = re.compile(r"\s*([0-9a-f]{32})\s*(?:;|\Z)", re.IGNORECASE)


def session_id_pair(invite: str | None, answer: str | None) -> str | None:
    """Give the pair as the caller sees it, from the headers of the INVITE and of its 2xx.

    Each endpoint writes its own UUID first and the peer's after `remote=` (§5), so that the
    two first ones make the pair. An endpoint that has none counts as nil. None when neither
    header holds a UUID.
    """
    caller, callee = local_uuid(invite), local_uuid(answer)
    if caller is None and callee is None:
        return None
    return f"{caller or NIL};remote={callee or NIL}"


def local_uuid(value: str | None) -> str | None:
    """Read the UUID of who wrote the header; None when there is none."""
    match = _LOCAL.match(value or "")
    return match[1].lower() if match else None
