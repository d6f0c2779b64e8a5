"""Ports that are taken, and some that are free."""

import socket

import pytest

from siprec_control.ports import busy, free_udp_port, free_udp_ports


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_taken_port_is_named(transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if transport != "udp":
            holder.listen()
        item = f"{transport}:127.0.0.1:{holder.getsockname()[1]}"
        assert busy([item]) == [f"{item}: Address already in use"]
    assert busy([item]) == []


def test_address_of_another_host_is_named() -> None:
    item = f"udp:192.0.2.1:{free_udp_port('127.0.0.1')}"
    assert busy([item]) == [f"{item}: Cannot assign requested address"]


def test_ipv6_and_ipv4_share_a_port() -> None:
    port = free_udp_port("127.0.0.1")
    assert busy([f"udp:127.0.0.1:{port}", f"udp:[::1]:{port}"]) == []


def test_free_ports_are_all_different() -> None:
    ports = free_udp_ports("127.0.0.1", 40)
    assert len(set(ports)) == 40
    assert busy([f"udp:127.0.0.1:{port}" for port in ports]) == []
