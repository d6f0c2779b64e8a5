"""The session timer, callee's side (RFC 4028)."""

from collections.abc import Callable

from siprec_srs.address import parse_params
from siprec_srs.message import Header, Request
from siprec_srs.transaction import Schedule, Timer


class SessionTimer:
    """Agrees on an interval when the peer supports it, refreshes or waits for refreshes."""

    def __init__(
        self, schedule: Schedule, *, refresh: Callable[[], None], expire: Callable[[], None]
    ) -> None:
        self._schedule = schedule
        self._refresh = refresh
        self._expire = expire
        self._timer: Timer | None = None
        self._interval_s = 0
        self._is_ours = False

    def answer(self, request: Request) -> tuple[Header, ...]:
        """Return the headers of the 2xx to an INVITE or UPDATE, and start to count.

        Empty when the request asks for no timer.
        """
        self.stop()
        seconds, _, rest = request.get("Session-Expires").partition(";")
        supported = [tag.lower() for tag in request.values("Supported") + request.values("Require")]
        if not seconds.strip().isdecimal() or int(seconds) <= 0:
            return ()
        self._interval_s = min(int(seconds), 86_400)
        # §9: when the request names no refresher, the UAC becomes it if it supports the timer.
        refresher = parse_params(rest).get("refresher") or (
            "uac" if "timer" in supported else "uas"
        )
        self._is_ours = refresher == "uas"
        self._start()
        headers: tuple[Header, ...] = (
            ("Session-Expires", f"{self._interval_s};refresher={refresher}"),
        )
        return (*headers, ("Require", "timer")) if "timer" in supported else headers

    def offer(self) -> tuple[Header, ...]:
        """Return the header of a re-INVITE of ours, which is a refresh too."""
        if not self._interval_s:
            return ()
        self._start()
        refresher = "uac" if self._is_ours else "uas"
        return (("Session-Expires", f"{self._interval_s};refresher={refresher}"),)

    def _start(self) -> None:
        self.stop()
        whole = self._interval_s
        if self._is_ours:
            self._timer = self._schedule(whole / 2, self._refresh)
        else:
            # §10: BYE at min(32 s, a third) before the end.
            self._timer = self._schedule(whole - min(32, whole / 3), self._expire)

    def stop(self) -> None:
        """Stop counting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
