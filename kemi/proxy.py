"""KEMI script of the proxy role: Kamailio calls these hooks; each hands on to siprec_kemi."""

from typing import Any

from siprec.redis_acl import RedisUser
from siprec_kemi import ksr
from siprec_kemi.proxy.actions import serve_actions
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.calls import Calls
from siprec_kemi.proxy.dialogs import Dialogs
from siprec_kemi.proxy.documents import Documents
from siprec_kemi.proxy.entrance import Entrance
from siprec_kemi.proxy.fetches import Fetches, library_of
from siprec_kemi.proxy.inside import Inside
from siprec_kemi.proxy.media import Media
from siprec_kemi.proxy.outbox import Outbox
from siprec_kemi.proxy.policy import Policy
from siprec_kemi.proxy.reports import Reports
from siprec_kemi.proxy.session_ids import SessionIds
from siprec_kemi.runtime import load_runtime, settle_memory


class Proxy:
    """The handler object. Made before Kamailio forks; connections open in each worker."""

    def __init__(self) -> None:
        self._runtime = load_runtime(RedisUser.PROXY)
        self._outbox = Outbox()
        self._fetches = Fetches()
        self._breaker = Breaker()

    @ksr.hook
    def child_init(self, rank: int) -> None:
        """Build what a worker needs; those that carry calls connect to Redis at once."""
        runtime = self._runtime
        settings = runtime.settings
        key = bytes.fromhex(runtime.route_key)
        policy = Policy(settings)
        media = Media(settings.rtpengine.ng)
        reports = Reports(self._outbox, settings.redis, self._breaker)
        documents = Documents(settings.redis, self._breaker)
        if rank > 0:
            documents.warm_up()
        awareness = Awareness(settings.awareness, settings.redis, self._breaker, reports.order)
        ids = SessionIds(key, settings.sip.session_id)
        self._calls = Calls(
            runtime, documents, media, policy, reports, awareness, ids, self._fetches
        )
        self._dialogs = Dialogs(key, media, reports, awareness, ids, policy)
        self._entrance = Entrance(key, self._calls, self._dialogs, policy, Inside(runtime))

    @ksr.hook
    def ksr_request_route(self, message: Any) -> None:
        """Take a request."""
        self._entrance.request()

    @ksr.hook
    def ksr_reply(self, message: Any) -> None:
        """Take a reply, before its transaction does."""
        self._entrance.reply()

    @ksr.hook
    def ksr_call_reply(self, message: Any) -> None:
        """Look at a reply to the first INVITE of a call."""
        self._calls.replied()

    @ksr.hook
    def ksr_call_failure(self, message: Any) -> None:
        """All branches of the first INVITE failed."""
        self._calls.failed()

    @ksr.hook
    def ksr_call_resume(self, message: Any) -> None:
        """A `<Pause>` is over."""
        self._calls.resume()

    @ksr.hook
    def ksr_call_fetched(self, message: Any) -> None:
        """A document was fetched, or was not."""
        self._calls.fetched()

    @ksr.hook
    def ksr_dialog_reply(self, message: Any) -> None:
        """Look at a reply inside a call."""
        self._dialogs.replied()

    @ksr.hook
    def ksr_bye_reply(self, message: Any) -> None:
        """Look at a reply to BYE."""
        self._dialogs.bye_replied()

    @ksr.hook
    def ksr_bye_failure(self, message: Any) -> None:
        """BYE was refused or not answered."""
        self._dialogs.bye_failed()

    @ksr.hook
    def ksr_outbox(self, message: Any, name: str) -> None:
        """Run the outbox in its own process, for ever."""
        settings = self._runtime.settings
        self._outbox.serve(settings.redis.url or "", settings.redis.prefix, self._runtime.node)

    @ksr.hook
    def ksr_fetches(self, message: Any, name: str) -> None:
        """Fetch documents in a process of its own, for ever."""
        self._fetches.serve(library_of(self._runtime))

    @ksr.hook
    def ksr_actions(self, message: Any, name: str) -> None:
        """Do what controllers ask for, in a process of its own, for ever."""
        settings = self._runtime.settings
        serve_actions(settings.redis.url or "", settings.redis.prefix, self._runtime.node)


def mod_init() -> Proxy:
    """Give Kamailio the handler object."""
    handler = Proxy()
    settle_memory()
    return handler
