"""Owners, mail, addresses, and resolver of the SRC role."""

import multiprocessing
import selectors
import socket
from collections.abc import Callable, Iterator

import pytest

from siprec.inbox import SrsReplied
from siprec.settings import SrcSettings
from siprec.sids import SHARDS
from siprec_kemi.loopback import open_sender
from siprec_kemi.src import resolver as resolver_module
from siprec_kemi.src.addresses import Address, Addresses, NoSocket
from siprec_kemi.src.mail import Mailbox, post
from siprec_kemi.src.owners import Owners
from siprec_kemi.src.resolver import FRESH_S, Resolver
from tests.kemi.strict_ksr import StrictKsr

REPLY = SrsReplied(call_id="c", method="INVITE", cseq=1, status=200, body="ü\udcff")


# Owners


def test_owner_of_each_shard_is_seen_by_processes_forked_later() -> None:
    owners = Owners()
    assert {owners.port(shard) for shard in range(SHARDS)} == {0}

    def own_all() -> None:
        for shard in range(SHARDS):
            owners.set_port(shard, 60_000 + shard)

    child = multiprocessing.get_context("fork").Process(target=own_all)
    child.start()
    child.join()
    assert [owners.port(shard) for shard in range(SHARDS)] == [60_000 + n for n in range(SHARDS)]


def test_owner_clears_only_what_is_still_its_own() -> None:
    owners = Owners()
    owners.set_port(1, 7)
    owners.clear(1, 8)
    assert owners.port(1) == 7
    owners.clear(1, 7)
    assert owners.port(1) == 0


# Mail


class OpenMailbox(Mailbox):
    """A mailbox that a test may close."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


@pytest.fixture
def mailbox(ksr: StrictKsr) -> Iterator[OpenMailbox]:
    opened = OpenMailbox()
    yield opened
    opened.close()


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with open_sender() as opened:
        yield opened


def is_readable(mailbox: Mailbox) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(mailbox, selectors.EVENT_READ)
        return bool(selector.select(5.0))


def test_mail_comes_as_it_was_posted(mailbox: OpenMailbox, sender: socket.socket) -> None:
    assert mailbox.receive() == []
    assert all(post(sender, mailbox.port, REPLY) for _ in range(3))
    assert is_readable(mailbox)
    assert mailbox.receive() == [REPLY] * 3


def test_wake_makes_the_mailbox_readable_and_brings_nothing(mailbox: OpenMailbox) -> None:
    mailbox.wake()
    assert is_readable(mailbox)
    assert mailbox.receive() == []


def test_wake_after_the_end_does_no_harm(mailbox: OpenMailbox) -> None:
    mailbox.close()
    mailbox.wake()


def test_mail_too_long_for_a_datagram_is_not_posted(
    mailbox: OpenMailbox, sender: socket.socket
) -> None:
    letter = SrsReplied(call_id="c", method="BYE", cseq=1, status=200, body="x" * 65_000)
    assert not post(sender, mailbox.port, letter)


def test_mail_that_cannot_be_sent_is_not_posted(sender: socket.socket) -> None:
    sender.close()
    assert not post(sender, 9, REPLY)


def test_mail_of_strangers_is_logged_and_passed_over(
    mailbox: OpenMailbox, sender: socket.socket, ksr: StrictKsr
) -> None:
    sender.sendto(b"{}", ("127.0.0.1", mailbox.port))
    post(sender, mailbox.port, REPLY)
    assert mailbox.receive() == [REPLY]
    assert ksr.named("log")[0][0] == "warn"


# Addresses

LISTEN = ("udp:192.0.2.1:5070", "tcp:192.0.2.1:5071", "tcp:[2001:db8::1]:5072", "tcp:192.0.2.2:1")


@pytest.mark.parametrize(
    ("ip", "transport", "advertise", "address"),
    [
        ("192.0.2.9", "udp", None, Address("udp:192.0.2.1:5070", "192.0.2.1:5070")),
        ("192.0.2.9", "tcp", None, Address("tcp:192.0.2.1:5071", "192.0.2.1:5071")),
        ("2001:db8::9", "tcp", None, Address("tcp:[2001:db8::1]:5072", "[2001:db8::1]:5072")),
        ("192.0.2.9", "tcp", "src.example", Address("tcp:192.0.2.1:5071", "src.example:5071")),
        ("192.0.2.9", "tcp", "src.example:1", Address("tcp:192.0.2.1:5071", "src.example:1")),
        ("192.0.2.9", "udp", "[2001:db8::5]", Address(LISTEN[0], "[2001:db8::5]:5070")),
        ("192.0.2.9", "udp", "[2001:db8::5]:9", Address(LISTEN[0], "[2001:db8::5]:9")),
    ],
)
def test_address_fits_transport_and_family(
    ip: str, transport: str, advertise: str | None, address: Address
) -> None:
    addresses = Addresses(SrcSettings(listen=LISTEN, advertise=advertise))
    assert addresses.toward(ip, transport) == address


@pytest.mark.parametrize(
    ("ip", "transport", "why"),
    [("2001:db8::9", "udp", "no udp socket for IPv6"), ("192.0.2.9", "tls", "no tls .* for IPv4")],
)
def test_address_that_is_missing_is_named(ip: str, transport: str, why: str) -> None:
    with pytest.raises(NoSocket, match=why):
        Addresses(SrcSettings(listen=LISTEN)).toward(ip, transport)


# Resolver


class Answers:
    """Collects what a resolver says, and waits for its threads."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.resolver = Resolver(mailbox.wake)
        self.all: list[tuple[str | None, str]] = []

    def ask(self, host: str) -> None:
        """Ask for a host."""
        self.resolver.resolve(host, lambda ip, why: self.all.append((ip, why)))

    def wait(self) -> None:
        """Wait for an answer from a thread, and deliver it."""
        assert is_readable(self._mailbox)
        self._mailbox.receive()
        self.resolver.deliver()


@pytest.fixture
def answers(mailbox: OpenMailbox) -> Answers:
    return Answers(mailbox)


@pytest.fixture
def look_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | OSError], list[str]]:
    """Give a function that sets what the name service says; it gives the names asked for."""

    def answer_with(said: str | OSError) -> list[str]:
        asked: list[str] = []

        def answer(host: str) -> str:
            asked.append(host)
            if isinstance(said, OSError):
                raise said
            return said

        monkeypatch.setattr(resolver_module, "_look_up", answer)
        return asked

    return answer_with


@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1"])
def test_address_in_numbers_is_given_at_once(answers: Answers, ip: str) -> None:
    answers.ask(ip)
    assert answers.all == [(ip, "")]


def test_localhost_is_resolved_by_the_name_service(answers: Answers) -> None:
    answers.ask("localhost")
    assert answers.all == []
    answers.wait()
    assert answers.all[0] in (("127.0.0.1", ""), ("::1", ""))


def test_name_asked_for_twice_is_looked_up_once_and_then_known(
    answers: Answers,
    look_up: Callable[[str | OSError], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(resolver_module, "monotonic_s", lambda: now[0])
    asked = look_up("192.0.2.5")
    answers.ask("srs.example")
    answers.ask("srs.example")
    answers.wait()
    answers.ask("srs.example")
    assert (answers.all, asked) == ([("192.0.2.5", "")] * 3, ["srs.example"])
    now[0] += FRESH_S
    answers.ask("srs.example")
    answers.wait()
    assert asked == ["srs.example"] * 2


def test_name_that_is_unknown_is_told_and_asked_for_anew(
    answers: Answers, look_up: Callable[[str | OSError], list[str]]
) -> None:
    asked = look_up(OSError("no such name"))
    for count in (1, 2):
        answers.ask("srs.example")
        answers.wait()
        assert answers.all == [(None, "srs.example: no such name")] * count
    assert len(asked) == 2
