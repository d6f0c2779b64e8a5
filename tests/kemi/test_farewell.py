"""The BYEs that end a call of two others."""

from typing import Any

import pytest

from siprec_kemi.proxy.farewell import LOST, Farewell, farewells


def leg(tag: str, contact: str, *, cseq: str = "1", routes: str = "") -> dict[str, Any]:
    return {
        "tag": tag,
        "contact": contact,
        "cseq": cseq,
        "route_set": routes,
        "socket": "udp:192.0.2.9:5060",
    }


def dialog(caller: dict[str, Any], callee: dict[str, Any]) -> dict[str, Any]:
    return {
        "call-id": "a@b",
        "from_uri": "sip:alice@example.com",
        "to_uri": "sip:1@example.com",
        "caller": caller,
        "callee": callee,
    }


CALLEE = leg("t", "sip:bob@192.0.2.2", cseq="0")


def to_caller(contact: str, routes: str = "") -> Farewell:
    first, _ = farewells(dialog(leg("f", contact, routes=routes), CALLEE), LOST)
    return first


def test_each_party_gets_the_bye_that_the_other_would_send() -> None:
    caller = leg("f", "sip:alice@192.0.2.1:5062;transport=tcp", cseq="7")
    first, second = farewells(dialog(caller, CALLEE), LOST)
    assert first == Farewell(
        uri="sip:alice@192.0.2.1:5062;transport=tcp",
        next_hop="sip:alice@192.0.2.1:5062;transport=tcp",
        socket="udp:192.0.2.9:5060",
        headers=(
            "From: <sip:1@example.com>;tag=t\r\n"
            "To: <sip:alice@example.com>;tag=f\r\n"
            "Call-ID: a@b\r\n"
            "CSeq: 100 BYE\r\n"
            "Max-Forwards: 70\r\n"
            'Reason: SIP;cause=503;text="Recording lost"\r\n'
        ),
    )
    assert second.uri == second.next_hop == "sip:bob@192.0.2.2"
    assert "From: <sip:alice@example.com>;tag=f\r\n" in second.headers
    assert "To: <sip:1@example.com>;tag=t\r\n" in second.headers
    assert "CSeq: 107 BYE\r\n" in second.headers


def test_route_set_is_followed_and_the_contact_left_as_it_is() -> None:
    contact = "sip:alice@10.0.0.1;alias=192.0.2.1~5062~1"
    routes = "<sip:192.0.2.5:5080;lr;r2=on>,<sips:192.0.2.5:5061;lr>"
    bye = to_caller(contact, routes)
    assert (bye.uri, bye.next_hop) == (contact, "sip:192.0.2.5:5080;lr;r2=on")
    assert bye.headers.endswith(f"Route: {routes}\r\n")


@pytest.mark.parametrize(
    ("contact", "uri", "next_hop"),
    [
        (
            "sip:a@10.0.0.1:5060;transport=udp;alias=192.0.2.1~5062~1;ob",
            "sip:a@10.0.0.1:5060;transport=udp;ob",
            "sip:192.0.2.1:5062;transport=udp",
        ),
        (
            "sip:a@10.0.0.1;alias=[2001:db8::1]~6000~2",
            "sip:a@10.0.0.1",
            "sip:[2001:db8::1]:6000;transport=tcp",
        ),
        ("sip:a@h;alias=192.0.2.1~1~3", "sip:a@h", "sip:192.0.2.1:1;transport=tls"),
    ],
)
def test_phone_behind_a_nat_is_reached_where_it_really_is(
    contact: str, uri: str, next_hop: str
) -> None:
    bye = to_caller(contact)
    assert (bye.uri, bye.next_hop) == (uri, next_hop)


@pytest.mark.parametrize("missing", ["call-id", "from_uri", "callee"])
def test_dialog_that_is_not_whole_is_refused(missing: str) -> None:
    whole = dialog(CALLEE, CALLEE)
    del whole[missing]
    with pytest.raises(KeyError):
        list(farewells(whole, LOST))
