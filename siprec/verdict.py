"""What a controller says to an order."""

from dataclasses import dataclass

NOT_IN_PROGRESS = 21220
"""What an order for a call meets that is over, or has no media yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an order was accepted. `code` is an alert code when it was refused."""

    accepted: bool
    text: str
    stream_sid: str | None = None
    code: int | None = None
