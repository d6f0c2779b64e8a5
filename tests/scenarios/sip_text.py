"""SIP messages as the phones of the tests see them: read leniently, written plainly."""

from collections.abc import Iterable
from dataclasses import dataclass, field

Header = tuple[str, str]

_COMPACT = {
    "v": "Via",
    "f": "From",
    "t": "To",
    "i": "Call-ID",
    "m": "Contact",
    "l": "Content-Length",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a reply. `source` is the address that it came from."""

    start: str
    headers: tuple[Header, ...]
    body: str = ""
    source: tuple[str, int] = field(default=("", 0), compare=False)

    def __str__(self) -> str:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(
            (
                *lines,
                f"Content-Length: {len(self.body.encode(errors='surrogateescape'))}",
                "",
                self.body,
            )
        )

    def all(self, name: str) -> list[str]:
        """Give the values of all headers of that name, top to bottom."""
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def one(self, name: str) -> str:
        """Give the value of the first header of that name; empty when there is none."""
        return next(iter(self.all(name)), "")

    @property
    def status(self) -> int:
        """Give the status of a reply; 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        """Give the method, of a reply the one of its CSeq."""
        return self.one("CSeq").split()[1] if self.status else self.start.split()[0]

    @property
    def cseq(self) -> int:
        """Give the number of the CSeq."""
        return int(self.one("CSeq").split()[0])

    @property
    def uri(self) -> str:
        """Give the Request-URI."""
        return self.start.split()[1]

    @property
    def branch(self) -> str:
        """Give the branch of the topmost Via."""
        return parameter(self.one("Via"), "branch")

    @property
    def from_tag(self) -> str:
        """Give the tag of From."""
        return parameter(self.one("From"), "tag")

    @property
    def to_tag(self) -> str:
        """Give the tag of To; empty when there is none."""
        return parameter(self.one("To"), "tag")

    @property
    def contact(self) -> str:
        """Give the URI of the Contact."""
        return in_brackets(self.one("Contact"))

    @property
    def media(self) -> tuple[str, int]:
        """Give the address of the first m-line of the SDP."""
        lines = self.body.splitlines()
        host = next(line.split()[2] for line in lines if line.startswith("c="))
        port = next(int(line.split()[1]) for line in lines if line.startswith("m="))
        return host, port


def parse(data: bytes, source: tuple[str, int] = ("", 0)) -> Message:
    """Read a message."""
    head, _, body = data.decode(errors="surrogateescape").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    headers: list[Header] = []
    for line in lines:
        name, _, value = line.partition(":")
        name = _COMPACT.get(name.strip().lower(), name.strip())
        if name.lower() in ("route", "record-route", "via"):
            headers += [(name, part.strip()) for part in value.split(",")]
        elif name.lower() != "content-length":
            headers.append((name, value.strip()))
    return Message(start, tuple(headers), body, source)


def parameter(value: str, name: str) -> str:
    """Give a parameter of a header value."""
    for part in value.rpartition(">")[2].split(";"):
        key, _, text = part.strip().partition("=")
        if key.lower() == name:
            return text
    return ""


def in_brackets(value: str) -> str:
    """Give the URI of a name-addr."""
    return value.partition("<")[2].partition(">")[0] if "<" in value else value.partition(";")[0]


def copied(message: Message, names: Iterable[str]) -> list[Header]:
    """Give the headers that a reply copies from its request."""
    wanted = {name.lower() for name in names}
    return [(name, value) for name, value in message.headers if name.lower() in wanted]
