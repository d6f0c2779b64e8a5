"""KEMI script of the SRC role: Kamailio calls these hooks; each hands on to siprec_kemi."""

from typing import Any

from siprec.redis_acl import RedisUser
from siprec_kemi import ksr
from siprec_kemi.runtime import load_runtime, settle_memory
from siprec_kemi.src.controller import Controller
from siprec_kemi.src.owners import Owners
from siprec_kemi.src.sender import Sender
from siprec_kemi.src.workers import Workers


class Src:
    """The handler object. Made before Kamailio forks; connections open in each process."""

    def __init__(self) -> None:
        self._runtime = load_runtime(RedisUser.CONTROLLER)
        self._owners = Owners()
        self._sender = Sender()

    @ksr.hook
    def child_init(self, rank: int) -> None:
        """Build what a worker needs; nothing connects before it is used."""
        self._workers = Workers(self._runtime, self._owners)

    @ksr.hook
    def ksr_request_route(self, message: Any) -> None:
        """Take a request of the SRS."""
        self._workers.requested()

    @ksr.hook
    def ksr_tm_local(self, message: Any, name: str) -> None:
        """Prepare a request of our own, inside t_uac_send."""
        self._sender.prepare()

    @ksr.hook
    def ksr_srs_reply(self, message: Any) -> None:
        """Take a reply to a request of our own."""
        self._workers.replied()

    @ksr.hook
    def ksr_srs_failure(self, message: Any) -> None:
        """A request of our own failed; only a timeout is news."""
        self._workers.timed_out()

    @ksr.hook
    def ksr_stray_reply(self, message: Any, *_: Any) -> None:
        """Take a reply that no transaction waits for.

        Kamailio calls it with one argument more when tm still knows the transaction.
        """
        self._workers.stray()

    @ksr.hook
    def ksr_srs_continue(self, message: Any) -> None:
        """Answer a suspended request of the SRS, inside t_continue."""
        self._sender.answer_now()

    @ksr.hook
    def ksr_srs_expired(self, message: Any) -> None:
        """No controller answered a suspended request in time."""
        ksr.reply(500, "Server Internal Error")

    @ksr.hook
    def ksr_controller(self, message: Any, name: str) -> None:
        """Run a controller in its own process, for ever."""
        index = ksr.number("$rtimer_worker")
        Controller(self._runtime, self._owners, self._sender, index).run()


def mod_init() -> Src:
    """Give Kamailio the handler object."""
    handler = Src()
    settle_memory()
    return handler
