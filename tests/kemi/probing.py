"""KEMI script of a test: the SRC role with probes alone, told by datagrams what to ask."""

import json
import os
import selectors
import socket
from typing import Any

from siprec.record import to_plain
from siprec.redis_acl import RedisUser
from siprec.srs_uri import parse_srs_uri
from siprec_kemi import ksr
from siprec_kemi.clock import monotonic_s
from siprec_kemi.runtime import load_runtime, settle_memory
from siprec_kemi.src.addresses import Addresses
from siprec_kemi.src.doors import Doors, Knock
from siprec_kemi.src.mail import Mailbox
from siprec_kemi.src.owners import Owners
from siprec_kemi.src.probes import ProbeResult, Probes
from siprec_kemi.src.resolver import Resolver
from siprec_kemi.src.sender import Sender
from siprec_kemi.src.tls_peers import TlsPeers, TlsRoute
from siprec_kemi.src.workers import Workers


class Loop:
    """What a controller does with probes, and nothing else."""

    def __init__(self, sender: Sender) -> None:
        runtime = load_runtime(RedisUser.CONTROLLER)
        self._commands = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._commands.bind(("127.0.0.1", int(os.environ["PROBING_PORT"])))
        self._mailbox = Mailbox()
        addresses = Addresses(runtime)
        self._resolver = Resolver(self._mailbox.wake, addresses)
        self._selector = selectors.DefaultSelector()
        self._doors = Doors(self._selector)
        self._probes = Probes(
            addresses=addresses,
            resolver=self._resolver,
            doors=self._doors,
            sender=sender,
            port=self._mailbox.port,
        )
        self._peers = TlsPeers(addresses=addresses, probes=self._probes, loaded=runtime.tls_loaded)
        self._selector.register(self._commands, selectors.EVENT_READ)
        self._selector.register(self._mailbox, selectors.EVENT_READ)

    def turn(self) -> None:
        """Wait, and deal with what came."""
        own = (self._doors, self._probes, self._peers)
        dues = [each.next_due_s() for each in own]
        waits = [max(0.0, due - monotonic_s()) for due in dues if due is not None]
        for key, _ in self._selector.select(min(waits, default=None)):
            if key.fileobj is self._commands:
                self._obey(*self._commands.recvfrom(65535))
            elif isinstance(key.data, Knock):
                self._doors.take(key.data)
            else:
                for reply in self._mailbox.receive():
                    self._probes.take(reply)
        self._resolver.deliver()
        self._doors.care()
        self._probes.care()
        self._peers.care()

    def _obey(self, data: bytes, peer: tuple[str, int]) -> None:
        command = json.loads(data)

        def tell(answer: dict[str, Any]) -> None:
            answer["id"] = command["id"]
            self._commands.sendto(json.dumps(answer).encode(), peer)

        def tell_result(result: ProbeResult) -> None:
            tell(to_plain(result))

        def tell_route(route: TlsRoute | None, why: str) -> None:
            tell({"route": None if route is None else to_plain(route), "why": why})

        match command["do"]:
            case "ask":
                uri = parse_srs_uri(command["uri"])
                self._probes.ask(uri, command["profile"], tell_result)
            case "route":
                self._peers.route(parse_srs_uri(command["uri"]), command["profile"], tell_route)
            case "check":
                self._peers.check(parse_srs_uri(command["uri"]), command["profile"], tell_route)
            case "forget":
                self._peers.forget(parse_srs_uri(command["uri"]), command["profile"])
                tell({})


class Probing:
    """The handler object."""

    def __init__(self) -> None:
        self._sender = Sender()
        self._owners = Owners()

    @ksr.hook
    def child_init(self, rank: int) -> None:
        """Build what a worker needs."""
        self._workers = Workers(load_runtime(RedisUser.CONTROLLER), self._owners)

    @ksr.hook
    def ksr_request_route(self, message: Any) -> None:
        """Take a request."""
        self._workers.requested()

    @ksr.hook
    def ksr_tm_local(self, message: Any, name: str) -> None:
        """Prepare a request of our own."""
        self._sender.prepare()

    @ksr.hook
    def ksr_srs_reply(self, message: Any) -> None:
        """Take a reply."""
        self._workers.replied()

    @ksr.hook
    def ksr_srs_failure(self, message: Any) -> None:
        """Take a timeout."""
        self._workers.timed_out()

    @ksr.hook
    def ksr_stray_reply(self, message: Any) -> None:
        """Take a reply that nobody waits for."""
        self._workers.stray()

    @ksr.hook
    def ksr_controller(self, message: Any, name: str) -> None:
        """Run for ever."""
        loop = Loop(self._sender)
        while True:
            try:
                loop.turn()
            except Exception as error:
                ksr.log("error", f"probing: {type(error).__name__}: {error}")


def mod_init() -> Probing:
    """Give Kamailio the handler object."""
    handler = Probing()
    settle_memory()
    return handler
