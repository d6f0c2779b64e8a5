"""Session timers in both roles."""

import pytest

from tests.srs.conftest import StartSrs
from tests.srs.src_client import SrcClient

TIMER = ("Supported", "timer")
EXPIRED = 'SIP;cause=408;text="Session timer expired"'


def _asks(text: str) -> list[tuple[str, str]]:
    return [TIMER, ("Session-Expires", text)]


@pytest.mark.parametrize(
    ("switches", "asked", "told"),
    [
        ([], "1800", "1800;refresher=uac"),
        ([], "1800;refresher=uas", "1800;refresher=uas"),
        (["--session-expires", "600"], "1800;refresher=uas", "600;refresher=uas"),
        (["--session-expires", "600:uas"], "1800", "600;refresher=uas"),
        (["--session-expires", "90:uac"], "1800;refresher=uas", "90;refresher=uac"),
    ],
)
def test_200_says_interval_and_refresher(
    start_srs: StartSrs, switches: list[str], asked: str, told: str
) -> None:
    srs = start_srs(*switches)
    with SrcClient(srs.address, tcp=True) as src:
        answer = src.establish(extra=_asks(asked))
        assert (answer.get("Session-Expires"), answer.get("Require")) == (told, "timer")
        src.bye()
    interval, _, refresher = told.partition(";refresher=")
    assert srs.ended()["session_timer"] == {
        "interval_s": int(interval),
        "refresher": {"uas": "srs", "uac": "src"}[refresher],
        "refreshes": 0,
    }


def test_timer_for_an_src_without_support_is_refreshed_by_the_srs(start_srs: StartSrs) -> None:
    srs = start_srs("--session-expires", "600")
    with SrcClient(srs.address, tcp=True) as src:
        answer = src.establish()
        assert answer.get("Session-Expires") == "600;refresher=uas"
        assert not answer.get("Require")
        src.bye()


def test_without_any_timer_the_summary_has_none(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        assert not src.establish().get("Session-Expires")
        src.bye()
    assert srs.ended()["session_timer"] is None


def test_interval_below_min_se_is_answered_422(start_srs: StartSrs) -> None:
    srs = start_srs("--min-se", "90")
    with SrcClient(srs.address, tcp=True) as src:
        src.send(src.invite_request(extra=_asks("89")))
        refusal = src.response("INVITE")
        assert (refusal.status, refusal.get("Min-SE")) == (422, "90")
        assert srs.ended()["refused_with"] == 422
        src.call_id += "-again"
        src.establish(extra=_asks("90"))
        assert src.changed(sdp=src.sdp(), extra=_asks("60")).status == 422
        assert src.changed("UPDATE", extra=_asks("60")).get("Min-SE") == "90"
        src.bye()
    assert srs.ended()["problems"] == []


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_srs_refreshes_at_half_when_that_is_its_part(start_srs: StartSrs, method: str) -> None:
    srs = start_srs("--session-expires", "2:uas", "--refresh-by", method.lower())
    with SrcClient(srs.address, tcp=True) as src:
        first = src.establish(extra=_asks("1800"))
        for _ in range(2):
            refresh = src.request(method)
            assert refresh.get("Session-Expires") == "2;refresher=uac"
            assert "timer" in refresh.values("Supported")
            assert refresh.body == (first.body if method == "INVITE" else b"")
            sdp = src.sdp() if method == "INVITE" else ""
            src.accept(refresh, sdp, [("Session-Expires", "2;refresher=uac")])
        src.bye()
    summary = srs.ended()
    assert summary["session_timer"]["refreshes"] == 2
    assert summary["problems"] == []


def test_refresh_of_the_src_keeps_the_session(start_srs: StartSrs) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("600;refresher=uac"))
        for method in ("UPDATE", "INVITE"):
            answer = src.changed(method, sdp=src.sdp(), extra=_asks("600;refresher=uac"))
            assert answer.get("Session-Expires") == "600;refresher=uac"
        src.bye()
    summary = srs.ended()
    assert summary["session_timer"]["refreshes"] == 2
    assert summary["problems"] == []


def test_missing_refresh_of_the_src_ends_in_bye_with_reason(start_srs: StartSrs) -> None:
    srs = start_srs("--session-expires", "1:uac")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("1800"))
        bye = src.request("BYE")
        assert bye.get("Reason") == EXPIRED
        src.reply(bye, 200)
    assert srs.ended()["ended_by"] == "timeout"


def test_refresh_that_is_answered_481_ends_in_bye(start_srs: StartSrs) -> None:
    srs = start_srs("--session-expires", "2:uas")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("1800"))
        src.reply(src.request("INVITE"), 481)
        bye = src.request("BYE")
        assert bye.get("Reason") == EXPIRED
        src.reply(bye, 200)
    assert srs.ended()["problems"] == ["our INVITE was answered 481"]


def test_refresh_that_is_answered_422_is_sent_again_with_min_se(start_srs: StartSrs) -> None:
    srs = start_srs("--session-expires", "2:uas")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("1800"))
        src.reply(src.request("INVITE"), 422, extra=[("Min-SE", "120")])
        again = src.request("INVITE")
        assert again.get("Session-Expires") == "120;refresher=uac"
        assert again.get("Min-SE") == "120"
        src.accept(again, src.sdp(), [("Session-Expires", "120;refresher=uac")])
        src.request("ACK")
        src.bye()
    summary = srs.ended()
    assert summary["session_timer"]["interval_s"] == 120
    assert summary["problems"] == []


def test_update_that_is_not_allowed_is_followed_by_a_reinvite(start_srs: StartSrs) -> None:
    srs = start_srs("--session-expires", "2:uas", "--refresh-by", "update")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("1800"))
        src.reply(src.request("UPDATE"), 405)
        invite = src.request("INVITE")
        src.accept(invite, src.sdp(), [("Session-Expires", "2;refresher=uas")])
        src.request("ACK")
        src.bye()
    assert srs.ended()["session_timer"] == {"interval_s": 2, "refresher": "src", "refreshes": 1}


def test_never_refresh_leaves_the_end_to_the_src(start_srs: StartSrs) -> None:
    srs = start_srs("--session-expires", "1:uas", "--never-refresh", "--info-after", "1.2")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("1800"))
        message = src.receive()
        assert message.cseq[1] == "INFO"
        src.bye(extra=[("Reason", EXPIRED)])
    summary = srs.ended()
    assert (summary["ended_by"], summary["bye_reason"]) == ("src-bye", EXPIRED)


def test_200_to_a_refresh_without_interval_is_noted(start_srs: StartSrs) -> None:
    srs = start_srs("--session-expires", "2:uas")
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("1800"))
        src.accept(src.request("INVITE"), src.sdp())
        src.request("ACK")
        src.bye()
    assert srs.ended()["problems"] == ["the 200 to our refresh has no Session-Expires"]


def test_change_without_session_expires_is_noted_and_the_timer_runs_on(
    start_srs: StartSrs,
) -> None:
    srs = start_srs()
    with SrcClient(srs.address, tcp=True) as src:
        src.establish(extra=_asks("600"))
        answer = src.changed("UPDATE", extra=[TIMER])
        assert answer.get("Session-Expires") == "600;refresher=uac"
        src.bye()
    assert srs.ended()["problems"] == ["UPDATE without Session-Expires although a timer runs"]
