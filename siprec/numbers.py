"""Patterns of called numbers: an exact user part, a prefix (`+1555*`), or `*` for all."""

import re
from dataclasses import dataclass

from siprec.errors import NumberError as NumberError
from siprec.model import CallbackMethod
from siprec.twiml_run import Source

MAX_NUMBER_CHARS = 128
MAX_PREFIX_CHARS = 32
"""Bounds what one call looks up: 32 prefixes, the number itself, and `*`."""

# RFC 3261 user: unreserved, escaped, user-unreserved.
_USER = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A called number (`+15550001`), prefix (`+1555*`) or `*`, and the TwiML it follows.

    `program` is the compiled document (siprec.twiml), made once when the number is set; "" when
    it has none of its own. `url` is where its document is fetched for each call, `fallback_url`
    where else; "" for none. The one of its own is followed when neither gives any.
    """

    pattern: str
    account_sid: str
    twiml: str
    program: str
    url: str = ""
    method: CallbackMethod = CallbackMethod.POST
    fallback_url: str = ""
    fallback_method: CallbackMethod = CallbackMethod.POST

    @property
    def sources(self) -> tuple[Source, ...]:
        """Give where its document is fetched, in turn."""
        both = ((self.url, self.method), (self.fallback_url, self.fallback_method))
        return tuple(Source(url=url, method=method) for url, method in both if url)


def is_number(text: str) -> bool:
    """Tell whether the text can stand as the user part of a SIP URI, and is not too long."""
    return len(text) <= MAX_NUMBER_CHARS and _USER.fullmatch(text) is not None


def parse_pattern(text: str) -> str:
    """Check a pattern and give it back unchanged: nothing is normalised, a `+` is kept.

    A pattern that ends in `*` is a prefix, so no number that ends in `*` can be set exactly.

    Raises:
        NumberError: not a pattern; says why.
    """
    if text == "*":
        return text
    if not text:
        raise NumberError(text, "is empty")
    if len(text) > MAX_NUMBER_CHARS:
        raise NumberError(text[:40], f"is over {MAX_NUMBER_CHARS} characters")
    if not _USER.fullmatch(text):
        raise NumberError(text, "holds a character that the user part of a SIP URI must escape")
    if text.endswith("*") and len(text) > MAX_PREFIX_CHARS + 1:
        raise NumberError(text, f"a prefix has at most {MAX_PREFIX_CHARS} characters before its *")
    return text


def candidates(called: str) -> tuple[str, ...]:
    """Name every pattern that matches the called user part, best first, at most 34.

    The number itself, then its prefixes from the longest (at most 32 characters), then `*`.
    The proxy looks them all up at once and takes the first that is set.
    """
    exact = (called,) if called and not called.endswith("*") else ()
    longest = min(len(called), MAX_PREFIX_CHARS)
    prefixes = tuple(f"{called[:length]}*" for length in range(longest, 0, -1))
    return (*exact, *prefixes, "*")
