"""What the interface refuses, as the JSON that clients know: code, message, more_info, status."""

from typing import Any

from siprec.verdict import NOT_IN_PROGRESS as NOT_IN_PROGRESS

MORE_INFO = "https://www.twilio.com/docs/errors/"

BAD_VALUE = 20001
NO_LOGIN = 20003
NO_METHOD = 20004
NOT_FOUND = 20404
TOO_MANY = 20429
TOO_LARGE = 20413
INTERNAL = 20500
UNAVAILABLE = 20503
NOT_ALLOWED = 20403
NO_ORIGINATION = 21201


class ApiError(Exception):
    """A request is refused with `status`; `code` is one that callers know."""

    def __init__(
        self, status: int, code: int, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """Give the error object."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"{MORE_INFO}{self.code}",
            "status": self.status,
        }


def bad_value(field: str, why: str, code: int = BAD_VALUE) -> ApiError:
    """Make the error of a field that cannot be used."""
    return ApiError(400, code, f"{field}: {why}")


def not_found(what: str) -> ApiError:
    """Make the error of something that is not there, or not for this account."""
    return ApiError(404, NOT_FOUND, f"The requested resource {what} was not found")


def unavailable(why: str) -> ApiError:
    """Make the error of a request that may be sent again in a moment."""
    return ApiError(503, UNAVAILABLE, why, {"Retry-After": "1"})
