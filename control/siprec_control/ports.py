"""Ports that are taken, and some that are free."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from siprec_control.values import Endpoint, parse_listen


def busy(listen: Sequence[str]) -> list[str]:
    """Try every `udp:HOST:PORT`, `tcp:` and `tls:`; say of each that fails why."""
    found = []
    for item in listen:
        try:
            _bind(parse_listen(item)).close()
        except OSError as error:
            found.append(f"{item}: {error.strerror}")
    return found


def free_udp_port(host: str) -> int:
    """Find a UDP port that is free at this moment."""
    (port,) = free_udp_ports(host, 1)
    return port


def free_udp_ports(host: str, count: int) -> list[int]:
    """Find UDP ports that are free at this moment, each another."""
    with ExitStack() as held:
        probes = [held.enter_context(_bind(Endpoint("udp", host, 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


def _bind(endpoint: Endpoint) -> socket.socket:
    kind = socket.SOCK_DGRAM if endpoint.transport == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    probe = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # A connection that was closed a moment ago does not keep Kamailio from its port.
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((endpoint.host, endpoint.port))
    except BaseException:
        probe.close()
        raise
    return probe
