"""Which account wants to be told of its alerts, and where."""

import time
from collections.abc import Callable

from siprec.accounts import Account
from siprec.alerts import Alert
from siprec.debugger import AlertCallback
from siprec.record import RecordError

KEPT_S = 2.0


class Debuggers:
    """Knows the debugger webhooks of accounts, each as it was KEPT_S ago at most.

    `account_of` reads an account. Alerts of no account are those of `default_sid`, who runs the
    stack. `say` writes a line of the log.
    """

    def __init__(
        self,
        account_of: Callable[[str], Account | None],
        default_sid: str,
        say: Callable[[str], None],
    ) -> None:
        self._account_of = account_of
        self._default_sid = default_sid
        self._say = say
        self._known: dict[str, tuple[float, Account | None]] = {}

    def address(self, alert: Alert) -> AlertCallback | None:
        """Say where an alert is to be sent, None when nobody wants to know.

        Raises:
            StoreUnavailable.
        """
        account = self._account(alert.account_sid or self._default_sid)
        if account is None or not account.debugger_url:
            return None
        return AlertCallback(
            alert=alert,
            account_sid=account.sid,
            url=account.debugger_url,
            method=account.debugger_method,
        )

    def _account(self, sid: str) -> Account | None:
        now_s = time.monotonic()
        until_s, account = self._known.get(sid, (0.0, None))
        if now_s < until_s:
            return account
        try:
            account = self._account_of(sid)
        except RecordError as error:
            self._say(f"ERROR: alerts are not sent to a debugger webhook: {error}")
            account = None
        self._known = {each: kept for each, kept in self._known.items() if kept[0] > now_s}
        self._known[sid] = (now_s + KEPT_S, account)
        return account
