"""Mail from SIP workers to controllers, over loopback."""

import selectors
import socket
from collections.abc import Iterator

import pytest

from siprec.inbox import SrsReplied
from siprec_kemi.loopback import open_sender
from siprec_kemi.src.mail import Mailbox, post
from tests.kemi.strict_ksr import StrictKsr

REPLY = SrsReplied(call_id="c", method="INVITE", cseq=1, status=200, body="ü\udcff")


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
