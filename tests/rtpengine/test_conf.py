"""rtpengine.conf: rtpengine takes it whole, and says nothing when all is well."""

import os
from pathlib import Path

import pytest

from rtpengine_ng.client import ask
from rtpengine_ng.errors import NgTimeout
from rtpengine_ng.messages import list_calls, parse_calls, ping
from tests.rtpengine.daemon import Rtpengine
from tests.rtpengine.media import AnsweredCall

pytestmark = pytest.mark.daemon


def test_rtpengine_with_our_conf_logs_nothing_over_a_whole_call(tmp_path: Path) -> None:
    with Rtpengine(tmp_path) as daemon:
        call = AnsweredCall(daemon.ng, "quiet")
        call.talk(10, "x")
        call.ask("delete")
        call.close()
    assert daemon.log == ""


def test_rtpengine_without_root_starts_with_our_conf(tmp_path: Path) -> None:
    with Rtpengine(tmp_path, user=65534 if os.geteuid() == 0 else None) as daemon:
        assert ask(daemon.ng, ping()) == {"result": "pong"}
    assert daemon.log == ""


def test_rtpengine_killed_and_started_again_forgets_its_calls(tmp_path: Path) -> None:
    with Rtpengine(tmp_path) as daemon:
        AnsweredCall(daemon.ng, "lost").close()
        daemon.kill()
        with pytest.raises(NgTimeout):
            ask(daemon.ng, ping(), timeout_s=0.1)
        daemon.start()
        assert parse_calls(ask(daemon.ng, list_calls(10))) == ()
