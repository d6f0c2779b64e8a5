"""What the SIP workers of the SRC role make of replies: mail for the controller that asked."""

import base64
import contextlib
import selectors
from collections.abc import Iterator

import pytest

from siprec.inbox import SrsReplied, TlsSeen
from siprec.settings import RedisSettings, Runtime, Settings
from siprec_kemi.src.mail import Mailbox
from siprec_kemi.src.owners import Owners
from siprec_kemi.src.workers import Workers
from tests.kemi.strict_ksr import StrictKsr

LEG = f"SR05{'a' * 22}00000001-1-1"


class Worker(Workers):
    """A worker that a test may close."""

    def close(self) -> None:
        """Close the socket."""
        self._sender.close()


@pytest.fixture
def mailbox(ksr: StrictKsr) -> Iterator[Mailbox]:
    opened = Mailbox()
    yield opened
    with contextlib.closing(opened._socket):
        pass


@pytest.fixture
def workers(mailbox: Mailbox) -> Iterator[Worker]:
    owners = Owners()
    owners.set_port(5, mailbox.port)
    settings = Settings(redis=RedisSettings(url="unix:///nowhere"))
    opened = Worker(Runtime(settings=settings, node="n", route_key=""), owners)
    yield opened
    opened.close()


def mail(mailbox: Mailbox) -> list[SrsReplied]:
    """Give what came."""
    with selectors.DefaultSelector() as selector:
        selector.register(mailbox, selectors.EVENT_READ)
        return mailbox.receive() if selector.select(5.0) else []


def say(ksr: StrictKsr, call_id: str, method: str, status: int, **headers: str) -> None:
    """Have Kamailio at a reply; `_` in the names of headers stands for `-`."""
    ksr.variables |= {"$ci": call_id, "$rm": method, "$cs": 1, "$rs": status, "$rr": "Reason"}
    for name, value in headers.items():
        header = name.replace("_", "-")
        ksr.variables |= {f"$hdr({header})": value, f"$hdrc({header})": 1}
        ksr.variables[f"$(hdr({header})[0])"] = value


def test_challenges_come_with_their_names(
    ksr: StrictKsr, workers: Worker, mailbox: Mailbox
) -> None:
    say(ksr, LEG, "INVITE", 401, WWW_Authenticate='Digest realm="a"', Proxy_Authenticate="Basic")
    workers.replied()
    (reply,) = mail(mailbox)
    assert reply.challenges == (
        'WWW-Authenticate: Digest realm="a"',
        "Proxy-Authenticate: Basic",
    )


def test_challenges_of_other_replies_are_left_out(
    ksr: StrictKsr, workers: Worker, mailbox: Mailbox
) -> None:
    say(ksr, LEG, "INVITE", 486, WWW_Authenticate='Digest realm="a"')
    workers.replied()
    assert [reply.challenges for reply in mail(mailbox)] == [()]


def test_answer_to_a_probe_goes_to_the_mailbox_that_it_names(
    ksr: StrictKsr, workers: Worker, mailbox: Mailbox
) -> None:
    call_id = f"probe-{mailbox.port}-7-0123abcd"
    ksr.variables["$rb"] = "x" * 70_000
    say(ksr, call_id, "OPTIONS", 405, WWW_Authenticate="Basic")
    workers.replied()
    replied = SrsReplied(
        call_id=call_id, method="OPTIONS", cseq=1, status=405, reason="Reason", tls=None
    )
    assert mail(mailbox) == [replied]


@pytest.mark.parametrize("call_id", ["probe-0-1-ab", "probe-65536-1-ab", "probe-7-1-", "probe-x"])
def test_answer_to_something_like_a_probe_is_left(
    ksr: StrictKsr, workers: Worker, mailbox: Mailbox, call_id: str
) -> None:
    say(ksr, call_id, "OPTIONS", 200)
    workers.replied()
    mailbox.wake()
    assert mail(mailbox) == []


@pytest.mark.parametrize(
    ("verified", "encoded", "certificate"),
    [
        ("1", base64.b64encode(b"PEM").decode(), "PEM"),
        ("0", "", ""),
        ("1", "A", ""),
    ],
)
def test_answer_to_a_probe_tells_what_the_tls_proxy_saw(
    ksr: StrictKsr,
    workers: Worker,
    mailbox: Mailbox,
    verified: str,
    encoded: str,
    certificate: str,
) -> None:
    say(
        ksr,
        f"probe-{mailbox.port}-7-0123abcd",
        "OPTIONS",
        200,
        X_TLS_Verified=verified,
        X_TLS_Route="<sip:a;lr>",
        X_TLS_Certificate=encoded,
        X_TLS_Version="TLSv1.3",
        X_TLS_Cipher="C",
    )
    workers.replied()
    (reply,) = mail(mailbox)
    assert reply.tls == TlsSeen(
        route="<sip:a;lr>",
        verified=verified == "1",
        certificate=certificate,
        version="TLSv1.3",
        cipher="C",
    )


def test_probe_that_timed_out_is_told(ksr: StrictKsr, workers: Worker, mailbox: Mailbox) -> None:
    say(ksr, f"probe-{mailbox.port}-7-0123abcd", "OPTIONS", 0)
    workers.timed_out()
    (reply,) = mail(mailbox)
    assert (reply.status, reply.is_timeout) == (408, True)


# Requests of the SRS that nobody answers


def test_cancel_of_what_is_answered_gets_200_and_any_other_481(
    ksr: StrictKsr, workers: Worker
) -> None:
    ksr.variables |= {"$ci": LEG, "$rm": "CANCEL"}
    for known in (1, -1):
        ksr.returns["tm.t_check_trans"] = known
        workers.requested()
    assert [call[0] for call in ksr.named("sl.sl_send_reply")] == [200, 481]
