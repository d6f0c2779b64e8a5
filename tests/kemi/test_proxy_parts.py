"""Route parameter, policy, and breaker of the proxy role."""

import multiprocessing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.settings import RoutingSettings, Settings, SipSettings
from siprec.twiml_run import Target, TargetKind
from siprec_kemi.proxy import breaker as breaker_module
from siprec_kemi.proxy.breaker import OPEN_S, Breaker
from siprec_kemi.proxy.policy import Policy, is_sip_uri
from siprec_kemi.proxy.route_parameter import Path, make_parameter, read_parameter

KEY = bytes(range(32))
PATH = Path("CA2a" + "0" * 30, 3)
CALL_ID = "abc@192.0.2.1"


# Route parameter


@given(st.binary(min_size=1, max_size=32), st.text(), st.text(), st.integers(0, 99))
def test_parameter_comes_back_as_it_was_and_tells_who_sends(
    key: bytes, call_id: str, tag: str, instance: int
) -> None:
    path = Path(PATH.call_sid, instance)
    parameter = make_parameter(key, call_id, tag, path)
    for text in (parameter, f"<sip:192.0.2.1;lr{parameter};ftag=x"):
        assert read_parameter(key, call_id, text, tag) == path
        assert read_parameter(key, call_id, text, f"{tag}x") == replace(path, is_from_callee=True)


@pytest.mark.parametrize(
    ("key", "call_id"), [(b"other", CALL_ID), (KEY, "other"), (KEY, "")], ids=str
)
def test_parameter_of_another_key_or_call_is_refused(key: bytes, call_id: str) -> None:
    assert read_parameter(key, call_id, make_parameter(KEY, CALL_ID, "t", PATH), "t") is None


def test_parameter_that_was_changed_is_refused() -> None:
    parameter = make_parameter(KEY, CALL_ID, "t", PATH)
    for index in range(len(";sp="), len(parameter)):
        changed = "1" if parameter[index] != "1" else "2"
        forged = parameter[:index] + changed + parameter[index + 1 :]
        assert read_parameter(KEY, CALL_ID, forged, "t") is None


@pytest.mark.parametrize("text", ["", ";lr", ";sp=", f";sp={PATH.call_sid}.3", "x" * 1000])
def test_parameter_that_is_missing_is_none(text: str) -> None:
    assert read_parameter(KEY, CALL_ID, text, "t") is None


# Policy


def policy(
    *, allow: tuple[str, ...] = (), gateway: str | None = None, follow: bool = False
) -> Policy:
    sip = replace(SipSettings(), allow=allow, request_uri_routing=follow)
    return Policy(replace(Settings(), sip=sip, routing=RoutingSettings(gateway=gateway)))


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::1", True),
        ("[2001:db8::1]", True),
        ("2001:db9::1", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_source_may_call_when_its_network_is_listed(source: str, allowed: bool) -> None:
    rules = policy(allow=("192.0.2.1/24", "2001:db8::/32"))
    assert rules.may_call(source) is allowed
    assert rules.may_call(source) is allowed


def test_nobody_may_call_when_no_network_is_listed() -> None:
    assert not policy().may_call("127.0.0.1")


@pytest.mark.parametrize(
    ("source", "gateway", "trusted"),
    [
        ("192.0.2.7", None, True),
        ("192.0.3.7", None, False),
        ("192.0.3.7", "sip:192.0.3.7:5080;transport=tcp", True),
        ("192.0.3.8", "sip:192.0.3.7", False),
        ("[2001:db8::1]", "sip:[2001:db8::1]", True),
        ("192.0.3.7", "sip:gw.example", False),
        ("", None, False),
    ],
)
def test_identity_is_believed_of_callers_and_of_the_gateway(
    source: str, gateway: str | None, trusted: bool
) -> None:
    assert policy(allow=("192.0.2.0/24",), gateway=gateway).trusts(source) is trusted


@pytest.mark.parametrize(
    ("gateway", "uri"),
    [
        ("sip:gw.example", "sip:+1555@gw.example"),
        ("sip:gw.example:5080;transport=tcp", "sip:+1555@gw.example:5080;transport=tcp"),
        ("sip:trunk@gw.example", "sip:+1555@gw.example"),
        ("sip:[2001:db8::1]:5060", "sip:+1555@[2001:db8::1]:5060"),
        (None, None),
    ],
)
def test_number_goes_to_the_gateway(gateway: str | None, uri: str | None) -> None:
    rules = policy(gateway=gateway)
    assert rules.number_uri("+1555") == uri
    assert rules.target_uri(Target(kind=TargetKind.NUMBER, value="+1555")) == uri
    sip = Target(kind=TargetKind.SIP, value="sip:a@b")
    assert rules.target_uri(sip) == "sip:a@b"


@pytest.mark.parametrize(
    ("gateway", "follow", "is_to_us", "target"),
    [
        ("sip:gw", False, True, "sip:1@gw"),
        ("sip:gw", True, False, "sip:1@gw"),
        (None, True, False, "sip:1@there"),
        (None, True, True, None),
        (None, False, False, None),
    ],
)
def test_call_without_a_document_goes_where_the_operator_says(
    gateway: str | None, follow: bool, is_to_us: bool, target: str | None
) -> None:
    rules = policy(gateway=gateway, follow=follow)
    assert rules.default_target("sip:1@there", "1", is_to_us=is_to_us) == target


def test_sip_uri_is_told_from_what_is_none() -> None:
    assert is_sip_uri("sip:a@b")
    assert not is_sip_uri("tel:+1555")


# Breaker


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(breaker_module, "monotonic_s", lambda: now[0])
    return now


def test_breaker_stays_open_for_a_while_after_a_fault(clock: list[float]) -> None:
    breaker = Breaker()
    assert not breaker.is_open()
    breaker.trip()
    assert breaker.is_open()
    clock[0] += OPEN_S
    assert not breaker.is_open()


def test_breaker_that_is_reset_is_closed(clock: list[float]) -> None:
    breaker = Breaker()
    breaker.trip()
    breaker.reset()
    assert not breaker.is_open()


def test_breaker_is_shared_by_processes_forked_from_its_maker(clock: list[float]) -> None:
    breaker = Breaker()
    child = multiprocessing.get_context("fork").Process(target=breaker.trip)
    child.start()
    child.join()
    assert breaker.is_open()
