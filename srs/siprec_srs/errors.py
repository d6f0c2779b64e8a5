"""What can be wrong with what a peer sent us.

SrsError
├── ParseError         no SIP message, or a header that cannot be read
├── SdpError           a session description that breaks RFC 4566
├── BodyError          a multipart body that cannot be taken apart
└── UsageError         a switch of the command line that makes no sense
"""


class SrsError(Exception):
    """Base of all errors of this package."""


class ParseError(SrsError):
    """A SIP message, or a part of one, that breaks the grammar of RFC 3261."""


class SdpError(SrsError):
    """A session description that cannot be used; the text names line and reason."""


class BodyError(SrsError):
    """A body whose MIME structure cannot be read."""


class UsageError(SrsError):
    """A command line switch with a value that means nothing."""
