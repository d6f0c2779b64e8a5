"""A small DNS server on loopback, with a zone that a test writes."""

import socket
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer:
    """Answers over UDP. Use it with `with`.

    `queries` are those that came, as `name KIND`. A kind in `silent` gets no answer, one in
    `failing` SERVFAIL. A name that no record has is NXDOMAIN.
    """

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self._records: dict[tuple[str, str], dns.rrset.RRset] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # An empty datagram ends the thread: closing a socket under recvfrom does not.
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    @property
    def address(self) -> str:
        """Give `HOST:PORT`."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def add(self, name: str, kind: str, *values: str, ttl: int = 300) -> None:
        """Write records, instead of those of that name and kind."""
        rrset = dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *values)
        self._records[f"{name}.", kind] = rrset

    def remove(self, name: str, kind: str) -> None:
        """Take the records of that name and kind away."""
        del self._records[f"{name}.", kind]

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4096)
            if not data:
                return
            query = dns.message.from_wire(data)
            (question,) = query.question
            name, kind = str(question.name).lower(), dns.rdatatype.to_text(question.rdtype)
            self.queries.append(f"{name.removesuffix('.')} {kind}")
            if kind not in self.silent:
                self._socket.sendto(self._answer(query, name, kind).to_wire(), peer)

    def _answer(self, query: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        if kind in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply
        alias = self._records.get((name, "CNAME"))
        if alias is not None:
            reply.answer.append(alias)
            name = str(alias[0]).lower()
        found = self._records.get((name, kind))
        if found is not None:
            reply.answer.append(found)
        elif not any(known == name for known, _ in self._records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply
