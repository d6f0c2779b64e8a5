"""What a controller says to an order."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an order was accepted. `code` is an alert code when it was refused."""

    accepted: bool
    text: str
    stream_sid: str | None = None
    code: int | None = None
