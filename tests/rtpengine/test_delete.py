"""What `delete` with which tags does to a call: Kamailio's rtpengine module sends it on BYE."""

from typing import Any

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.errors import NgRefused
from rtpengine_ng.messages import query, subscribe_request
from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall

pytestmark = pytest.mark.daemon

CALLER, CALLEE, FORK = "tag-caller", "tag-callee", "fork-1"


@pytest.fixture
def forked(call: AnsweredCall) -> AnsweredCall:
    ask(call.ng, subscribe_request(call.call_id, [CALLER, CALLEE], FORK))
    return call


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"from-tag": CALLER},
        {"from-tag": CALLEE},
        {"from-tag": CALLER, "to-tag": CALLEE},
        {"from-tag": CALLEE, "to-tag": CALLER},
        # With to-tag the from-tag is not looked at.
        {"from-tag": "bogus", "to-tag": CALLEE},
        {"from-tag": "bogus", "to-tag": CALLER},
        {"to-tag": "bogus"},
        {"to-tag": FORK},
    ],
)
def test_delete_ends_the_call_and_all_its_forks(
    rtpengine: Rtpengine, forked: AnsweredCall, tags: dict[str, Any]
) -> None:
    assert forked.ask("delete", **tags)["result"] == "ok"
    with pytest.raises(NgRefused, match="Unknown call-id"):
        ask(forked.ng, query(forked.call_id, CALLER))
    assert rtpengine.ports_come_to(0)


@pytest.mark.parametrize(
    "tags",
    [
        {"from-tag": "bogus"},
        {"from-tag": "bogus", "to-tag": "other"},
        {"from-tag": CALLER, "to-tag": "bogus"},
        {"from-tag": CALLEE, "to-tag": "bogus"},
    ],
)
def test_delete_that_does_not_match_changes_nothing(
    rtpengine: Rtpengine, forked: AnsweredCall, tags: dict[str, Any]
) -> None:
    assert "didn't match" in str(forked.ask("delete", **tags)["warning"])
    forked.talk(5, "undisturbed")
    assert rtpengine.ports_come_to(8)


@pytest.mark.parametrize("tags", [{"from-tag": FORK}, {"from-tag": CALLER, "to-tag": FORK}])
def test_delete_of_a_fork_leaves_the_call(
    rtpengine: Rtpengine, forked: AnsweredCall, tags: dict[str, Any]
) -> None:
    assert forked.ask("delete", **tags)["result"] == "ok"
    forked.talk(5, "undisturbed")
    assert rtpengine.ports_come_to(4)
