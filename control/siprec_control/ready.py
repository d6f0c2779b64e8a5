"""Whether a call can be placed and recorded: probes, and the thread that asks them."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from rtpengine_ng.client import ask
from rtpengine_ng.errors import NgError
from siprec.keys import ShardKeys
from siprec.settings import Runtime
from siprec.sids import SHARDS
from siprec.store import StoreUnavailable, connect, redis_errors
from siprec_control.tls_proxies import without_tls
from siprec_control.values import Endpoint, parse_listen, split_host_port

ASK_S = 0.4
_PAUSE_S = 0.05
# Controllers renew their leases every second or so; less is the noise of our clock.
_RENEWAL_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One condition. `ask` gives None when it holds, else what is missing, within ASK_S."""

    name: str
    ask: Callable[[], str | None]


class Prober:
    """Asks all probes in a thread until each has held once, then calls `on_done`."""

    def __init__(self, probes: Sequence[Probe], *, on_done: Callable[[], None]) -> None:
        self._missing = {probe.name: "was not asked yet" for probe in probes}
        self._probes = probes
        self._on_done = on_done
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
        self._thread.start()

    def is_done(self) -> bool:
        """Tell whether every probe has held."""
        return not self._missing

    def missing(self) -> list[str]:
        """Say what does not hold yet, one sentence a probe."""
        return [f"{name}: {why}" for name, why in list(self._missing.items())]

    def cancel(self) -> None:
        """Stop asking, and wait for the question that is under way."""
        self._cancelled.set()
        self._thread.join(timeout=2 * ASK_S)

    def _run(self) -> None:
        pending = list(self._probes)
        while pending and not self._cancelled.is_set():
            for probe in tuple(pending):
                why = _answer(probe)
                if why is None:
                    pending.remove(probe)
                    self._missing.pop(probe.name)
                else:
                    self._missing[probe.name] = why
            if pending:
                self._cancelled.wait(_PAUSE_S)
        self._on_done()


def _answer(probe: Probe) -> str | None:
    try:
        return probe.ask()
    except Exception as error:  # The end of this thread would be a wait without a reason.
        return f"{type(error).__name__}: {error}"


def probes(runtime: Runtime, insides: Sequence[str] = ()) -> tuple[list[Probe], list[Probe]]:
    """List what must hold before Kamailio is started, and what before a call is placed.

    `insides` (`HOST:PORT`) are those of the TLS proxies.
    """
    settings = runtime.settings
    below = [Probe(name="Redis", ask=lambda: ask_redis(settings.redis.url or ""))]
    for address in settings.rtpengine.ng:
        below.append(Probe(name=f"rtpengine {address}", ask=partial(ask_rtpengine, address)))
    above: list[Probe] = []
    if settings.proxy.enabled:
        listen = sip_probe_address(settings.sip.listen)
        above.append(Probe(name=f"proxy at {listen}", ask=partial(ask_sip, parse_listen(listen))))
    above.append(Probe(name="controllers", ask=LeaseWatch(runtime).ask))
    above.append(Probe(name="API", ask=partial(ask_api, settings.control.listen)))
    for inside in insides:
        ask = partial(ask_sip, parse_listen(f"udp:{inside}"))
        above.append(Probe(name=f"TLS proxy at {inside}", ask=ask))
    return below, above


def ask_redis(url: str) -> str | None:
    """Probe a Redis with PING."""
    try:
        with Redis.from_url(url, socket_timeout=ASK_S, socket_connect_timeout=ASK_S) as redis:
            redis.ping()
    except (RedisError, OSError) as error:
        return str(error)
    return None


def ask_api(listen: str) -> str | None:
    """Probe the API (`HOST:PORT`): somebody listens there, as they do when all is set up."""
    host, port = split_host_port(listen)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        socket.create_connection((host, port or 0), ASK_S).close()
    except OSError as error:
        return f"does not listen: {error}"
    return None


def ask_rtpengine(address: str) -> str | None:
    """Probe an rtpengine (`HOST:PORT`) with an NG ping."""
    host, port = split_host_port(address)
    try:
        reply = ask((host, port or 0), {"command": "ping"}, ASK_S)
    except (NgError, OSError) as error:
        return f"does not answer ping: {error}" if str(error) else "does not answer ping"
    return None if reply.get("result") == "pong" else "answers ping with something else"


class LeaseWatch:
    """Counts the shards whose lease was taken or renewed since the first look.

    Leases of a controller that was killed live on for some seconds: a stack that is started
    again at once would find them, and nobody reading the inboxes behind them.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._settings = runtime.settings.redis
        self._seen: dict[int, tuple[str, float]] | None = None

    def ask(self) -> str | None:
        """Say how many shards are owned, None when all are."""
        try:
            leases = self._leases()
        except StoreUnavailable as error:
            return str(error)
        if self._seen is None:
            self._seen = leases
        fresh = sum(self._is_fresh(shard, lease) for shard, lease in leases.items())
        return None if fresh >= SHARDS else f"own {fresh} of {SHARDS} shards"

    def _is_fresh(self, shard: int, lease: tuple[str, float]) -> bool:
        owner, expires_s = lease
        old_owner, old_expires_s = (self._seen or {}).get(shard, ("", 0.0))
        return owner != old_owner or expires_s > old_expires_s + _RENEWAL_S

    def _leases(self) -> dict[int, tuple[str, float]]:
        with redis_errors(), connect(self._settings.url or "", timeout_s=ASK_S) as client:
            pipe = client.pipeline(transaction=False)
            for shard in range(SHARDS):
                key = ShardKeys(self._settings.prefix, shard).lease
                pipe.get(key).pttl(key)
            answers = pipe.execute()
        now_s = time.monotonic()
        pairs = enumerate(zip(answers[::2], answers[1::2], strict=True))
        return {
            shard: (owner, now_s + left_ms / 1000)
            for shard, (owner, left_ms) in pairs
            if owner is not None
        }


def sip_probe_address(listen: Sequence[str]) -> str:
    """Choose the socket that is asked with OPTIONS: the first UDP one, else the first TCP one."""
    own = without_tls(listen)
    return next((item for item in own if item.startswith("udp:")), own[0])


def ask_sip(endpoint: Endpoint) -> str | None:
    """Probe a SIP socket with OPTIONS; anything but a 200 is missing something."""
    try:
        status = sip_status(endpoint)
    except OSError as error:
        return f"does not answer OPTIONS: {error}"
    return None if status.startswith("SIP/2.0 200 ") else f"answers OPTIONS with {status!r}"


def sip_status(endpoint: Endpoint, *, user: str = "", within_s: float = ASK_S) -> str:
    """Send OPTIONS to a SIP socket itself; give the first line of the answer.

    Raises:
        OSError: nobody is there (ConnectionRefusedError), or does not answer (TimeoutError).
    """
    transport, host, port = endpoint
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    endpoint = Endpoint(transport, host, port)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as channel:
        channel.settimeout(within_s)
        channel.connect((host, port))
        channel.send(_options(endpoint, user, channel.getsockname()[1]))
        return channel.recv(65536).split(b"\r\n", 1)[0].decode(errors="replace")


def _options(endpoint: Endpoint, user: str, own_port: int) -> bytes:
    transport, host, port = endpoint
    shown = f"[{host}]" if ":" in host else host
    place = f"{user}@{shown}" if user else shown
    unique = uuid4().hex
    lines = (
        f"OPTIONS sip:{place}:{port};transport={transport} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {shown}:{own_port};rport;branch=z9hG4bK{unique}",
        "Max-Forwards: 70",
        f"From: <sip:ready@{shown}>;tag={unique[:8]}",
        f"To: <sip:{place}:{port}>",
        f"Call-ID: {unique}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode()
