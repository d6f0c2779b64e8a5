"""What can go wrong between us and rtpengine.

    NgError
    ├── NgTimeout         no reply within the deadline; the command may have been executed
    ├── NgRefused         rtpengine replied `error` or `load limit`; `reason` is its own text
    └── NgProtocolError   the reply cannot be read, or says `ok` and must not be used

`retryable` tells whether the same command, sent later as a new request, may succeed. The
words of a reason differ between versions: ask the properties, compare no text.
"""

# Lower case. A subscribe request without free ports only says "Failed to request
# subscription", which may mean anything.
_UNKNOWN_CALL = "unknown call-id"
_BUSY = ("parallel session limit reached", "ran out of ports")


class NgError(Exception):
    """Any failure of an NG command."""

    @property
    def retryable(self) -> bool:
        """Tell whether the same command may succeed later."""
        return False


class NgTimeout(NgError):
    """No reply came within the deadline. The command may have been executed all the same."""

    @property
    def retryable(self) -> bool:
        """Tell that the same command may succeed later."""
        return True


class NgRefused(NgError):
    """rtpengine refused. `reason` is its text, `result` its verdict (`error`, `load limit`)."""

    def __init__(self, reason: str, *, result: str = "error") -> None:
        super().__init__(reason)
        self.reason = reason
        self.result = result

    @property
    def unknown_call(self) -> bool:
        """Tell whether rtpengine has no such call. On the way out that is success."""
        return _UNKNOWN_CALL in self.reason.lower()

    @property
    def load_limit(self) -> bool:
        """Tell whether rtpengine is too busy for now, or out of sessions or ports."""
        reason = self.reason.lower()
        return self.result == "load limit" or any(text in reason for text in _BUSY)

    @property
    def retryable(self) -> bool:
        """Tell whether the same command may succeed later: when rtpengine was busy."""
        return self.load_limit


class NgProtocolError(NgError):
    """The reply cannot be read, or says `ok` and must not be used."""
