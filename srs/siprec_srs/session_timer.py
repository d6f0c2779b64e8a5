"""The session timer (RFC 4028), for requests of either side."""

from collections.abc import Callable
from typing import Any

from siprec_srs.address import parse_params
from siprec_srs.behaviour import TimerPolicy
from siprec_srs.message import Header, Message, Request, Response
from siprec_srs.transaction import Schedule, Timer

_MAX_S = 86_400
_OURS = "srs"
_THEIRS = "src"


class SessionTimer:
    """Agrees on an interval when the peer supports it, refreshes or waits for refreshes.

    refresh: sends a request of ours. expire: ends the session. note: told each oddity.
    """

    def __init__(
        self,
        schedule: Schedule,
        policy: TimerPolicy,
        *,
        refresh: Callable[[], None],
        expire: Callable[[], None],
        note: Callable[[str], None],
    ) -> None:
        self._schedule = schedule
        self._policy = policy
        self._refresh = refresh
        self._expire = expire
        self._note = note
        self._timers: list[Timer] = []
        self._interval_s = 0
        self._min_se_s = 0
        self._refresher = ""
        self._agreed = 0

    def too_small(self, request: Request) -> tuple[Header, ...]:
        """Return the header of a 422 (§6), nothing when the request may pass."""
        asked = _seconds(request)[0]
        if not 0 < asked < self._policy.min_se_s:
            return ()
        return (("Min-SE", str(self._policy.min_se_s)),)

    def answer(self, request: Request) -> tuple[Header, ...]:
        """Return the headers of the 2xx to an INVITE or UPDATE, and start to count.

        Empty when the request asks for no timer, and we neither.
        """
        asked, refresher = _seconds(request)
        if self._interval_s and not asked:
            # §7.4: every INVITE and UPDATE is a refresh, and says so.
            self._note(f"{request.method} without Session-Expires although a timer runs")
        interval = self._policy.expires_s or asked or self._interval_s
        if not interval:
            return ()
        has_timer = "timer" in _supported(request)
        refresher = self._policy.refresher or refresher
        if not refresher and self._refresher:
            refresher = "uas" if self._refresher == _OURS else "uac"
        # §9: when the request names no refresher, the UAC becomes it if it supports the timer.
        refresher = refresher or ("uac" if has_timer else "uas")
        self._start(interval, _OURS if refresher == "uas" else _THEIRS)
        headers: tuple[Header, ...] = (("Session-Expires", f"{interval};refresher={refresher}"),)
        return (*headers, ("Require", "timer")) if has_timer else headers

    def offer(self) -> tuple[Header, ...]:
        """Return the headers of an INVITE or UPDATE of ours, which is a refresh too."""
        if not self._interval_s:
            return ()
        refresher = "uac" if self._refresher == _OURS else "uas"
        headers = (("Session-Expires", f"{self._interval_s};refresher={refresher}"),)
        least = (("Min-SE", str(self._min_se_s)),) if self._min_se_s else ()
        return (("Supported", "timer"), *headers, *least)

    def answered(self, response: Response, *, is_refresh: bool) -> None:
        """Take the 2xx to a request of ours: it says who refreshes from now on (§7.2).

        is_refresh: the request had no other purpose.
        """
        if not self._interval_s:
            return
        interval, refresher = _seconds(response)
        if not interval and is_refresh:
            self._note("the 200 to our refresh has no Session-Expires")
        elif interval and not refresher:
            self._note("the Session-Expires of the 200 to our refresh names no refresher")
        role = {"uac": _OURS, "uas": _THEIRS}.get(refresher, self._refresher)
        self._start(interval or self._interval_s, role)

    def raise_interval(self, response: Response) -> bool:
        """Take a 422 to a request of ours; tell whether to try again with what it wants."""
        least = response.get("Min-SE").partition(";")[0].strip()
        if not least.isdecimal() or int(least) <= self._min_se_s:
            return False
        self._min_se_s = int(least)
        self._interval_s = max(self._interval_s, self._min_se_s)
        return True

    def _start(self, interval: int, refresher: str) -> None:
        self.stop()
        self._interval_s, self._refresher = min(interval, _MAX_S), refresher
        self._agreed += 1
        whole = self._interval_s
        if refresher == _OURS and self._policy.never_refreshes:
            return
        if refresher == _OURS:
            self._timers.append(self._schedule(whole / 2, self._refresh))
        # §10: BYE at min(32 s, a third) before the end.
        self._timers.append(self._schedule(whole - min(32, whole / 3), self._expire))

    def stop(self) -> None:
        """Stop counting."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def describe(self) -> dict[str, Any] | None:
        """Return the `session_timer` of the summary, None when there is none."""
        if not self._interval_s:
            return None
        return {
            "interval_s": self._interval_s,
            "refresher": self._refresher,
            "refreshes": max(0, self._agreed - 1),
        }


def _seconds(message: Message) -> tuple[int, str]:
    text, _, rest = message.get("Session-Expires").partition(";")
    seconds = int(text) if text.strip().isdecimal() and len(text.strip()) < 10 else 0
    return min(seconds, _MAX_S), parse_params(rest).get("refresher") or ""


def _supported(request: Request) -> list[str]:
    return [tag.lower() for tag in request.values("Supported") + request.values("Require")]
