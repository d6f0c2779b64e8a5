"""The rules of an order for a stream."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siprec.model import StreamOrder
from siprec.orders import FORBIDDEN_HEADERS, OrderError, check_order

_ORDER = StreamOrder(name="my stream")


@pytest.mark.parametrize(
    "order",
    [
        StreamOrder(),
        replace(_ORDER, name="Zoë's & <stream>"),
        replace(_ORDER, name="n" * 255),
        replace(_ORDER, status_callback="https://u:p@h.example:8443/x?a=b#ct=100&rc=2"),
        replace(_ORDER, status_callback="http://[::1]/"),
        replace(_ORDER, parameters=(("X-Custom.1", "Bob\t& Zoë"), ("a_b+c~d", ""))),
        replace(_ORDER, parameters=tuple((f"P{i}", "v") for i in range(99))),
        replace(_ORDER, parameters=(("a", "é" * 512),)),
    ],
)
def test_check_order_takes_a_good_order(order: StreamOrder) -> None:
    check_order(order)


@pytest.mark.parametrize(
    ("order", "field", "code", "why"),
    [
        (StreamOrder(name="a/b"), "name", 12200, "/"),
        (StreamOrder(name="a\nb"), "name", 12200, "control"),
        (StreamOrder(name="a\ud800"), "name", 12200, "control"),
        (StreamOrder(name="n" * 256), "name", 12200, "over 255"),
        (StreamOrder(connector_name=""), "connector_name", 12200, "empty"),
        (StreamOrder(connector_name="a/b"), "connector_name", 12200, "/"),
        (StreamOrder(status_callback=""), "status_callback", 12200, "http: or https:"),
        (StreamOrder(status_callback="ftp://h/"), "status_callback", 12200, "http"),
        (StreamOrder(status_callback="https:///x"), "status_callback", 12200, "host"),
        (StreamOrder(status_callback="http://[x/"), "status_callback", 12200, "http"),
        (StreamOrder(status_callback="http://h:0/"), "status_callback", 12200, "http"),
        (StreamOrder(status_callback="http://h:x/"), "status_callback", 12200, "http"),
        (StreamOrder(status_callback="http://h/ x"), "status_callback", 12200, "space"),
        (StreamOrder(status_callback="http://h/é"), "status_callback", 12200, "escape"),
        (StreamOrder(status_callback="http://h/\r\nX:"), "status_callback", 12200, "escape"),
        (StreamOrder(status_callback="http://" + "h" * 2048), "status_callback", 12200, "over"),
        (
            StreamOrder(parameters=tuple((f"P{i}", "v") for i in range(100))),
            "parameters",
            12200,
            "more than 99",
        ),
        (StreamOrder(parameters=(("a", "1"), ("A", "2"))), "parameters", 32111, "twice"),
        (StreamOrder(parameters=(("", "1"),)), "parameters", 32111, "not a SIP header name"),
        (StreamOrder(parameters=(("a b", "1"),)), "parameters", 32111, "not a SIP header name"),
        (StreamOrder(parameters=(("a:", "1"),)), "parameters", 32111, "not a SIP header name"),
        (StreamOrder(parameters=(("a\n", "1"),)), "parameters", 32111, "not a SIP header name"),
        (StreamOrder(parameters=(("a!", "1"),)), "parameters", 32111, "that can be sent"),
        (StreamOrder(parameters=(("it's", "1"),)), "parameters", 32111, "that can be sent"),
        (StreamOrder(parameters=(("a" * 129, "1"),)), "parameters", 32111, "not a SIP header"),
        (StreamOrder(parameters=(("Via", "1"),)), "parameters", 32113, "SIP itself"),
        (StreamOrder(parameters=(("a", "1\r"),)), "parameters", 32112, "line break"),
        (StreamOrder(parameters=(("a", "1\n2"),)), "parameters", 32112, "line break"),
        (StreamOrder(parameters=(("a", "\0"),)), "parameters", 32112, "NUL"),
        (StreamOrder(parameters=(("a", "\udcff"),)), "parameters", 32112, "control"),
        (StreamOrder(parameters=(("a", "é" * 513),)), "parameters", 32112, "over 1024 bytes"),
    ],
)
def test_check_order_of_a_bad_order_names_the_field(
    order: StreamOrder, field: str, code: int, why: str
) -> None:
    with pytest.raises(OrderError, match=why) as caught:
        check_order(order)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_check_order_keeps_parameter_values_out_of_errors() -> None:
    for value in ("s3cret\n", "s3cret" * 200):
        with pytest.raises(OrderError) as caught:
            check_order(StreamOrder(parameters=(("a", value),)))
        assert "s3cret" not in str(caught.value)


@given(st.text(), st.text())
def test_check_order_lets_no_parameter_break_a_header(name: str, value: str) -> None:
    try:
        check_order(StreamOrder(parameters=((name, value),)))
    except OrderError:
        return
    header = f"{name}: {value}\r\n"
    assert len(header.encode().splitlines()) == 1
    assert name.lower() not in FORBIDDEN_HEADERS
