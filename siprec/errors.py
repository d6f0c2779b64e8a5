"""The exceptions of the core.

    SiprecError
    ├── SipUriError       32110   a SIP URI or name-addr that cannot be used; names the part
    ├── NumberError               a number pattern that cannot be used
    ├── ConnectorError    31942   a connector that cannot be used (32110: an SRS URI, 32111 to
    │                             32113: a header, 32209: secure without TLS)
    ├── OrderError        12200   an order for a stream breaks a rule; names the field
    ├── TwimlError        12100   a document that cannot be followed; names line and element
    ├── SdpError          32102   SDP that cannot be used, the SRS's or anyone's
    │   ├── ForkError     32102   rtpengine's fork cannot feed the stream (yet)
    │   └── SrtpError     32207   the SRS's answer protects media otherwise than offered
    ├── DigestError       32106   a challenge of the SRS that cannot be answered (siprec.digest)
    ├── CertificateError  32011   a certificate that does not do for its host
    └── MultipartError            a multipart body that cannot be read or written

`code` is the alert code, where there is one.
"""

import re

MAX_WHY_CHARS = 200

# The shortest SRTP key has 38 characters of base64. No name of RFC 4568 is that long without
# an underscore in it.
_MAY_BE_KEY = re.compile(r"(?i:inline):[^\s\"'\\]*|[A-Za-z0-9+/]{24,}={0,2}")


class SiprecError(Exception):
    """Anything the core refuses. `str()` reads well for a person."""


class SipUriError(SiprecError):
    """A SIP URI cannot be used. `part` names what is wrong: `scheme`, `host`, `edge`, …"""

    code = 32110

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"SIP URI: {part}: {why}")
        self.part = part
        self.why = why


class NumberError(SiprecError):
    """A number pattern cannot be used; `why` says what is wrong with it."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(f"number {pattern!r}: {why}")
        self.pattern = pattern
        self.why = why


class ConnectorError(SiprecError):
    """A connector cannot be used. `field` is a path: `name`, `srs[1].priority`, …"""

    def __init__(self, field: str, code: int, why: str) -> None:
        super().__init__(f"connector: {field}: {why}")
        self.field = field
        self.code = code
        self.why = why


class OrderError(SiprecError):
    """An order for a stream breaks a rule. `field` is the field of siprec.model.StreamOrder."""

    def __init__(self, field: str, code: int, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.code = code
        self.why = why


class TwimlError(SiprecError):
    """A document cannot be followed.

    `code` is 12100 (not XML), 12200 (does not fit the schema), 31941 (track), or 32111 to
    32113 (a parameter). `line` counts from 1, 0 when unknown; `element` may be empty.
    """

    def __init__(
        self, code: int, why: str, *, line: int = 0, element: str = "", attribute: str | None = None
    ) -> None:
        place = [f"line {line}"] if line else []
        if element:
            place.append(f"<{element} {attribute}>" if attribute else f"<{element}>")
        super().__init__(": ".join([*place, why]))
        self.code = code
        self.line = line
        self.element = element
        self.attribute = attribute
        self.why = why


class SdpError(SiprecError):
    """SDP cannot be used. Not worth trying again with the same SRS and the same call."""

    code = 32102
    retryable = False

    def __init__(self, why: str) -> None:
        # It may quote the peer, and ends up in logs and alerts.
        why = _MAY_BE_KEY.sub("(hidden)", why)
        why = why if len(why) <= MAX_WHY_CHARS else f"{why[:MAX_WHY_CHARS]}…"
        super().__init__(f"SDP: {why}")
        self.why = why


class ForkError(SdpError):
    """rtpengine's fork cannot feed the stream.

    `retryable` when a wanted party has no media yet: before the callee is known, say.
    """

    def __init__(self, why: str, *, retryable: bool = False) -> None:
        super().__init__(f"fork: {why}")
        self.retryable = retryable


class SrtpError(SdpError):
    """The SRS's answer protects the media otherwise than we offered. No packet is sent."""

    code = 32207


class MultipartError(SiprecError):
    """A multipart body cannot be read or written."""

    def __init__(self, why: str) -> None:
        super().__init__(f"multipart: {why}")
        self.why = why
