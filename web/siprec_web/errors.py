"""What may go wrong when a URL is read or fetched; each says it for people."""


class UrlError(ValueError):
    """A URL that cannot be used. `what` names the part."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} {why}")
        self.what = what


class FetchError(Exception):
    """No answer came, or none may come."""


class FetchRefused(FetchError):
    """The address may not be reached."""


class FetchTimeout(FetchError):
    """It took too long. `kind` is `connect`, `read` or `total`."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class FetchFailed(FetchError):
    """The name is not known, the connection failed or broke, or the answer is too large."""
