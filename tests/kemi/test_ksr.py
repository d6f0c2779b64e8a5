"""The façades: what KEMI answers becomes bool, str and int, and no hook ever raises."""

from collections.abc import Callable

import pytest

from siprec_kemi import ksr as facade
from siprec_kemi import ksr_proxy
from tests.kemi.strict_ksr import StrictKsr

BOOLS: dict[str, Callable[[], bool]] = {
    "tm.t_newtran": facade.new_transaction,
    "tm.t_check_trans": facade.is_known_transaction,
    "tm.t_relay": facade.relay,
    "tm.t_is_canceled": facade.is_cancelled,
    "tm.t_branch_timeout": facade.is_timeout,
    "tmx.t_continue": lambda: facade.resume(1, 2, "route"),
    "tm.t_uac_send": lambda: facade.send_request(
        method="BYE", uri="sip:a", next_hop="sip:b", socket="tcp:c", headers="", body=""
    ),
    "sanity.sanity_check": ksr_proxy.is_sane,
    "maxfwd.process_maxfwd": ksr_proxy.may_travel,
    "siputils.has_totag": ksr_proxy.has_to_tag,
    "is_myself_ruri": ksr_proxy.is_to_us,
    "rr.loose_route": ksr_proxy.follow_route,
    "nathelper.nat_uac_test": ksr_proxy.is_natted,
    "rtpengine.rtpengine_offer": lambda: ksr_proxy.offer_media(0, "flags"),
    "rtpengine.rtpengine_answer": lambda: ksr_proxy.answer_media(0, "flags"),
}


@pytest.mark.parametrize(("answer", "truth"), [(1, True), (2, True), (-1, False), (-7, False)])
@pytest.mark.parametrize("name", BOOLS)
def test_answer_of_kamailio_is_true_when_positive(
    ksr: StrictKsr, name: str, answer: int, truth: bool
) -> None:
    ksr.returns[name] = answer
    assert BOOLS[name]() is truth


def test_flood_is_what_pike_refuses(ksr: StrictKsr) -> None:
    assert not ksr_proxy.is_flood()
    ksr.returns["pike.pike_check_req"] = -2
    assert ksr_proxy.is_flood()


def test_repeat_is_absorbed_when_tm_stops_the_route(ksr: StrictKsr) -> None:
    assert not facade.is_repeat_absorbed()
    ksr.returns["tm.t_check_trans"] = 0
    assert facade.is_repeat_absorbed()


# Variables


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), ("é!", "é!"), (487, "487"), ("", ""), (b"Andr\xe9", "Andr�")]
)
@pytest.mark.parametrize("variable", ["$fn", "$hdr(X-Name)", "$(hdr(Route)[1])"])
def test_text_of_any_variable_is_a_str(
    ksr: StrictKsr, variable: str, value: int | str | bytes | None, shown: str
) -> None:
    ksr.variables[variable] = value
    assert facade.text(variable) == shown


def test_text_of_a_variable_that_cannot_be_read_in_hexadecimal_is_empty(ksr: StrictKsr) -> None:
    ksr.variables["$(rb{s.len})"] = b"\xff"
    assert facade.text("$(rb{s.len})") == ""


def test_number_of_a_null_variable_is_zero(ksr: StrictKsr) -> None:
    assert facade.number("$rs") == 0
    ksr.variables["$rs"] = 487
    assert facade.number("$rs") == 487


def test_headers_come_top_to_bottom(ksr: StrictKsr) -> None:
    ksr.variables |= {"$hdrc(Via)": 2, "$(hdr(Via)[0])": "a", "$(hdr(Via)[1])": "b"}
    assert facade.headers("Via") == ["a", "b"]
    assert facade.headers("Route") == []


def test_variable_that_was_set_is_read(ksr: StrictKsr) -> None:
    assert not facade.is_set("$avp(x)")
    facade.set_text("$avp(x)", "1")
    assert facade.is_set("$avp(x)")
    assert facade.text("$avp(x)") == "1"


@pytest.mark.parametrize(
    ("body", "content_type", "truth"),
    [
        ({"textops.has_body_type": 1}, "application/sdp", True),
        ({"textops.has_body_type": -1, "textops.has_body": 1}, "multipart/mixed;b=x", True),
        ({"textops.has_body_type": -1, "textops.has_body": 1}, "text/plain", False),
        ({"textops.has_body_type": -1, "textops.has_body": -1}, "multipart/mixed", False),
        ({"textops.has_body_type": -1, "textops.has_body": 1}, None, False),
    ],
)
def test_sdp_is_found_alone_and_in_a_multipart(
    ksr: StrictKsr, body: dict[str, int], content_type: str | None, truth: bool
) -> None:
    ksr.returns |= body
    ksr.variables["$cT"] = content_type
    assert ksr_proxy.has_sdp() is truth


# Suspended transactions, RPC


def test_suspend_gives_index_and_label(ksr: StrictKsr) -> None:
    ksr.variables |= {"$T(id_index)": 11, "$T(id_label)": 22}
    assert facade.suspend() == (11, 22)
    ksr.returns["tmx.t_suspend"] = -1
    assert facade.suspend() is None


def test_rpc_gives_the_reply(ksr: StrictKsr) -> None:
    ksr.variables["$jsonrpl(body)"] = "{}"
    assert facade.rpc("request") == "{}"
    assert ksr.named("jsonrpcs.exec") == [("request",)]


# Hooks and logs


class Handlers:
    """Hooks, one that works and one that does not."""

    @facade.hook
    def good(self, message: object) -> None:
        """Work."""
        facade.log("debug", f"got {message}")

    @facade.hook
    def bad(self) -> None:
        """Raise."""
        raise ValueError("two\nlines")


def test_hook_returns_one_whatever_happens_and_logs_on_one_line(ksr: StrictKsr) -> None:
    assert Handlers().good("m") == 1
    assert Handlers().bad() == 1
    assert ksr.named("log") == [("dbg", "got m\n"), ("err", "bad: ValueError: two lines\n")]


# The strict KSR itself


def test_strict_ksr_refuses_unknown_names_and_wrong_types(ksr: StrictKsr) -> None:
    with pytest.raises(AttributeError, match=r"no KSR\.tm\.t_teleport"):
        ksr.call("tm.t_teleport", ())
    for arguments in ((), ("404", "Not Found"), (404,), (404, b"x"), (404, None)):
        with pytest.raises(TypeError, match=r"KSR\.tm\.t_reply\(int, str\) was given"):
            ksr.call("tm.t_reply", arguments)  # type: ignore[arg-type]
    with pytest.raises(SystemError, match="NUL"):
        ksr.call("seturi", ("sip:\0",))
