"""`siprec-srs`: run the reference SRS, or make certificates for it."""

import asyncio
import contextlib
import resource
import signal
import sys
from collections.abc import Sequence

from siprec_srs.address import host_port
from siprec_srs.certificates import DEFAULT_HOSTS, make_ca
from siprec_srs.errors import SrsError, UsageError
from siprec_srs.server import Server
from siprec_srs.switches import (
    authority_parser,
    read_behaviour,
    read_host_port,
    read_port_pairs,
    server_parser,
)
from siprec_srs.transport import Endpoint


def _allow_many_sockets() -> None:
    # Four sockets and two files a session; the usual soft limit of 1,024 is 170 sessions.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _ready(endpoint: Endpoint) -> str:
    text = f"ready {host_port(endpoint.host, endpoint.port)}"
    if endpoint.tls_port:
        text += f" tls {host_port(endpoint.tls_host, endpoint.tls_port)}"
    return text


async def run(server: Server, host: str, port: int) -> None:
    """Serve until SIGTERM, SIGINT or --max-sessions. Raises: SrsError."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(server.connection_failed)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.over.set)
    try:
        await server.start(host, port)
        print(_ready(server.endpoint), flush=True)
        await server.over.wait()
    finally:
        await server.stop()


def _serve(argv: Sequence[str]) -> None:
    args = server_parser().parse_args(argv)
    host, port = read_host_port("--listen", args.listen)
    behaviour, ports = read_behaviour(args), read_port_pairs(args.rtp_ports)
    if behaviour.keys is not None:
        behaviour.keys.touch(mode=0o600)
    _allow_many_sockets()
    asyncio.run(run(Server(behaviour, ports), host, port))


def _make_ca(argv: Sequence[str]) -> None:
    args = authority_parser().parse_args(argv)
    if args.days < 1:
        raise UsageError(f"--days {args.days}: not a number from 1")
    hosts = tuple(args.host or DEFAULT_HOSTS)
    for name in make_ca(args.folder, hosts, args.days, bad=args.bad):
        print(args.folder / f"{name}.pem")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `siprec-srs`. Returns 0, 1 on an error, 2 on wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["make-ca"]:
            _make_ca(words[1:])
        else:
            _serve(words)
    except UsageError as error:
        print(f"siprec-srs: {error}", file=sys.stderr)
        return 2
    except (SrsError, OSError) as error:
        print(f"siprec-srs: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
