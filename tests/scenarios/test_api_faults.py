"""What the API answers while those it works with are gone: soon, truly, and without its calls."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from siprec_control.rest.entrance import ORDERS_AT_ONCE
from siprec_control.rest.health import NO_REDIS
from tests.scenarios.phone import Phone, answer, hang_up
from tests.scenarios.polling import poll
from tests.scenarios.stage import RECORD, Stage, dial
from tests.scenarios.test_faults import stage_with_breakable_redis

pytestmark = pytest.mark.daemon

ORDERS = 100
NO_VERDICT = "no controller answered within 5 s"


class Api:
    """The API of a stage, as its default account sees it."""

    def __init__(self, stage: Stage) -> None:
        account = stage.stack.json("account", "show", "--token")
        self.login = (account["sid"], account["token"])
        self.base = f"http://127.0.0.1:{stage.stack.api_port}"
        self.root = f"{self.base}/2010-04-01/Accounts/{account['sid']}"

    def order(self, call_sid: str, name: str) -> requests.Response:
        """Order a stream."""
        url = f"{self.root}/Calls/{call_sid}/Siprec.json"
        return requests.post(url, data={"Name": name}, auth=self.login, timeout=60)

    def get(self, path: str) -> requests.Response:
        """Look at a resource of the account."""
        return requests.get(f"{self.root}/{path}", auth=self.login, timeout=60)

    def readiness(self) -> tuple[int, str]:
        """Ask whether orders are carried out."""
        answer = requests.get(f"{self.base}/readyz", timeout=10)
        return answer.status_code, answer.json().get("why", "")

    def health(self) -> int:
        """Ask whether the process lives."""
        return requests.get(f"{self.base}/healthz", timeout=10).status_code


def calls(stage: Stage, caller: Phone, callee: Phone) -> str:
    """Place a call that is recorded; give its sid."""
    caller.invite(stage.number(RECORD, dial(callee)))
    answer(caller, callee)
    stage.wait_recording(caller)
    return stage.wait_call(caller).sid


@contextmanager
def without_src_role(stage: Stage) -> Iterator[None]:
    """Stop all of the SRC role, as a debugger does; whoever kills it gets another one at once."""
    pids = stage.stack.pids("src")
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_orders_that_nobody_carries_out_hold_up_nothing_else(tmp_path: Path) -> None:
    with Stage(tmp_path, settings={"control": {"requests_burst": 5000}}) as stage:
        api = Api(stage)
        caller, callee = stage.pair()
        sid = calls(stage, caller, callee)
        others = stage.pair()
        to_others = stage.number(dial(others[1]))
        with without_src_role(stage), ThreadPoolExecutor(ORDERS) as threads:
            orders = [threads.submit(api.order, sid, f"n{n}") for n in range(ORDERS)]
            looked: Counter[Any] = Counter()
            while not all(order.done() for order in orders):
                looked[api.health(), api.get(f"Calls/{sid}.json").status_code] += 1
            others[0].invite(to_others)
            answer(*others)
            hang_up(*others)
            answers = [order.result() for order in orders]
            poll(lambda: api.readiness()[0] == 503)
            assert "controllers own" in api.readiness()[1]
        # They wait for 5 s; 40 threads answer requests.
        assert set(looked) == {(200, 200)}
        assert looked.total() > ORDERS_AT_ONCE
        assert {each.status_code for each in answers} == {503}
        assert {each.json()["code"] for each in answers} == {20503}
        assert {each.headers["Retry-After"] for each in answers} == {"1"}
        # As many as may had waited, the others were sent away at once.
        why = Counter(each.json()["message"] for each in answers)
        assert why["Too many orders wait to be carried out"] + why[NO_VERDICT] == ORDERS
        assert min(why.values()) >= 1
        assert len(why) == 2
        poll(lambda: api.readiness()[0] == 200, why=lambda: str(api.readiness()))
        # Nothing that was refused is carried out later.
        assert api.order(sid, "late").status_code == 201
        names = {stream["name"] for stream in api.get(f"Calls/{sid}/Siprec.json").json()["siprec"]}
        assert names == {"all", "late"}
        hang_up(caller, callee)


def test_api_answers_while_redis_is_silent_or_away_and_is_ready_afterwards(tmp_path: Path) -> None:
    with stage_with_breakable_redis(tmp_path) as (stage, redis):
        api = Api(stage)
        assert api.readiness() == (200, "")
        for fault in ("deaf", "refusing"):
            setattr(redis, fault, True)
            assert poll(lambda: (why := api.readiness())[0] == 503 and why) == (503, NO_REDIS)
            with ThreadPoolExecutor(ORDERS) as threads:
                asked = [threads.submit(api.get, "Calls.json") for _ in range(ORDERS)]
                ready = [threads.submit(api.readiness) for _ in range(ORDERS // 10)]
                assert api.health() == 200
                answers = [each.result() for each in asked]
                assert {each.result() for each in ready} == {(503, NO_REDIS)}
            assert {each.status_code for each in answers} == {503}
            assert {each.json()["code"] for each in answers} == {20503}
            setattr(redis, fault, False)
            poll(lambda: api.readiness()[0] == 200, why=lambda: str(api.readiness()))
            poll(lambda: api.get("Calls.json").status_code == 200)
