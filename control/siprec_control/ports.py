"""Ports that are taken, and one that is free."""

import socket
from collections.abc import Sequence

from siprec_control.values import Endpoint, parse_listen


def busy(listen: Sequence[str]) -> list[str]:
    """Try every `udp:HOST:PORT` and `tcp:HOST:PORT`; say of each that fails why."""
    found = []
    for item in listen:
        try:
            _bind(parse_listen(item))
        except OSError as error:
            found.append(f"{item}: {error.strerror}")
    return found


def free_udp_port(host: str) -> int:
    """Find a UDP port that is free at this moment."""
    return _bind(Endpoint("udp", host, 0))


def _bind(endpoint: Endpoint) -> int:
    kind = socket.SOCK_DGRAM if endpoint.transport == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # A connection that was closed a moment ago does not keep Kamailio from its port.
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((endpoint.host, endpoint.port))
        port: int = probe.getsockname()[1]
        return port
