"""What an operator's routing calls: it reports, and changes nothing but a Record-Route parameter.

Nothing here raises, or waits longer than a proxy role would.
"""

import functools
from collections.abc import Callable
from time import sleep
from typing import Concatenate, ParamSpec

from siprec.awareness import Indication
from siprec.settings import AwarenessSettings, OnPreference, OnSessionId, Runtime, ToldTo
from siprec_kemi import ksr
from siprec_kemi.plug_in.calls import PluggedCalls
from siprec_kemi.plug_in.runtime_watch import LOOK_S, RuntimeWatch
from siprec_kemi.proxy.awareness import Awareness
from siprec_kemi.proxy.breaker import Breaker
from siprec_kemi.proxy.dialogs import Dialogs
from siprec_kemi.proxy.documents import Documents
from siprec_kemi.proxy.media import Media
from siprec_kemi.proxy.outbox import Outbox
from siprec_kemi.proxy.policy import Policy
from siprec_kemi.proxy.reports import Reports
from siprec_kemi.proxy.route_parameter import Path, read_parameter
from siprec_kemi.proxy.session_ids import SessionIds

P = ParamSpec("P")


class _OthersMedia(Media):
    """The media of the operator's proxy, which is left alone: that offers, answers, deletes."""

    def take_reply(
        self, instance: int, call_sid: str, *, is_answer: bool, record: Indication | None = None
    ) -> None:
        """Leave it alone."""

    def renegotiate(self, path: Path, *, is_offer: bool, record: Indication | None = None) -> None:
        """Leave it alone."""

    def release(self, instance: int) -> bool:
        """Tell that nobody else has to."""
        return True

    def release_path(self, path: Path) -> bool:
        """Tell that nobody else has to."""
        return True


class _Worker:
    """What one process knows, of one runtime."""

    def __init__(self, runtime: Runtime, outbox: Outbox, breaker: Breaker) -> None:
        self.runtime = runtime
        settings = runtime.settings
        self.route_key = bytes.fromhex(runtime.route_key)
        policy = Policy(settings)
        media = _OthersMedia(settings.rtpengine.ng)
        reports = Reports(outbox, settings.redis, breaker)
        silent = AwarenessSettings(attribute=ToldTo.NONE, preference=OnPreference.IGNORE)
        awareness = Awareness(silent, settings.redis, breaker, reports.order)
        self.documents = Documents(settings.redis, breaker)
        self.calls = PluggedCalls(runtime, self.documents, media, policy, reports, awareness)
        ids = SessionIds(self.route_key, OnSessionId.PASS)
        self.dialogs = Dialogs(self.route_key, media, reports, awareness, ids, policy)

    def path(self) -> Path | None:
        """Tell which call the request at hand belongs to; None when it is none of those reported.

        The Route is read as it came, so that it may be followed before.
        """
        call_id, from_tag = ksr.text("$ci"), ksr.text("$ft")
        for value in ksr.headers("Route"):
            for route in value.split(","):
                parameters = route.partition(">")[0]
                path = read_parameter(self.route_key, call_id, parameters, from_tag)
                if path is not None:
                    return path
        return None


def _safe(
    report: Callable[Concatenate["PlugIn", _Worker, P], bool],
) -> Callable[Concatenate["PlugIn", P], bool]:
    """Make a report safe at its edge: whatever happens, the call goes on."""

    @functools.wraps(report)
    def guarded(self: "PlugIn", /, *args: P.args, **kwargs: P.kwargs) -> bool:
        try:
            worker = self.worker()
            return True if worker is None else report(self, worker, *args, **kwargs)
        except Exception as error:
            ksr.log("error", f"siprec {report.__name__}: {type(error).__name__}: {error}")
            return True

    return guarded


class PlugIn:
    """Make one when Kamailio loads its script, before it forks, and call it where it says."""

    def __init__(self, outbox: Outbox | None = None) -> None:
        self._outbox = outbox or Outbox()
        self._breaker = Breaker()
        self._watch = RuntimeWatch()
        self._worker: _Worker | None = None

    def worker(self) -> _Worker | None:
        """Give what this process reports with; None until `siprec run` has started."""
        runtime = self._watch.look()
        if runtime is None:
            return None
        if self._worker is None or self._worker.runtime is not runtime:
            self._worker = _Worker(runtime, self._outbox, self._breaker)
        return self._worker

    @_safe
    def started(self, worker: _Worker) -> bool:
        """Call it when a SIP worker starts (`child_init`, rank above 0): it connects to Redis.

        Without it a worker does so at its first call, and knows nothing of a stack that was
        stopped before that.
        """
        worker.documents.warm_up()
        return True

    @_safe
    def offered(self, worker: _Worker) -> bool:
        """Call it for the first INVITE of a call, before it is relayed.

        False when a connector that the call must have has no living recorder: refuse it then, or
        let it go on unrecorded.
        """
        return worker.calls.offered()

    @_safe
    def answered(self, worker: _Worker) -> bool:
        """Call it for replies to INVITE, UPDATE, PRACK and BYE, in the reply route."""
        if ksr.text("$rm") == "BYE":
            worker.dialogs.bye_replied()
        else:
            worker.calls.replied()
            worker.dialogs.replied()
        return True

    @_safe
    def changed(self, worker: _Worker) -> bool:
        """Call it for requests in a dialog, ACK and BYE as well, before they are relayed."""
        path = worker.path()
        if path is not None:
            worker.dialogs.look(ksr.text("$rm"), path)
        return True

    @_safe
    def ended(self, worker: _Worker) -> bool:
        """Call it in the failure route of INVITE, when no other target follows, and of BYE.

        Also before a refusal of your own, after `offered`.
        """
        if ksr.text("$rm") == "BYE":
            worker.dialogs.bye_failed()
        else:
            worker.calls.failed()
        return True

    def serve_outbox(self) -> None:
        """Append reports to Redis, for ever: run it in a process of its own (rtimer)."""
        while (runtime := self._watch.look()) is None:
            sleep(LOOK_S)
        redis = runtime.settings.redis
        drain = self._outbox.drain(redis.url or "", redis.prefix, runtime.node)
        while True:
            drain.turn()
            newer = self._watch.look()
            if newer is not None and newer is not runtime:
                runtime, redis = newer, newer.settings.redis
                drain.move_to(redis.url or "", redis.prefix, runtime.node)
