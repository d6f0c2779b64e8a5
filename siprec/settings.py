"""What an operator may set, with defaults; `siprec.toml` is parsed into this.

`siprec run` resolves what is open (Redis URL, NG addresses, account, keys) and hands the
result to Kamailio's Python as one JSON file, `Runtime`.
"""

from dataclasses import dataclass
from enum import StrEnum


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severe line that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSettings:
    """The proxy role. `listen` items are `udp:HOST:PORT` or `tcp:HOST:PORT`, IPv6 in brackets.

    `allow` lists the networks (CIDR) that may place calls; `advertise` is `HOST[:PORT]`.
    """

    listen: tuple[str, ...] = ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060")
    advertise: str | None = None
    workers: int = 4
    allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    request_uri_routing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SrcSettings:
    """The SRC role: the sockets toward recorders, and how many controllers share the shards."""

    listen: tuple[str, ...] = ("udp:127.0.0.1:5070", "tcp:127.0.0.1:5070")
    advertise: str | None = None
    workers: int = 2
    controllers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """Where calls without a document, and dialled numbers, go: `sip:HOST[:PORT]`."""

    gateway: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """`url` unset means an embedded redis-server in the state folder."""

    url: str | None = None
    prefix: str = "siprec:"


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpengineSettings:
    """`ng` lists running instances (`HOST:PORT`); empty means an embedded one with the rest."""

    ng: tuple[str, ...] = ()
    interface: str = "127.0.0.1"
    port_min: int = 30000
    port_max: int = 39999


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """The default account. `sid` unset: made at the first start and kept in the state folder."""

    sid: str | None = None
    token_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """`call_s` ends a call's recordings at the latest; `history_s` keeps what has ended."""

    tracks_per_call: int = 4
    call_s: int = 14400
    history_s: int = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What the processes log, and how."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of `siprec.toml`."""

    sip: SipSettings = SipSettings()
    src: SrcSettings = SrcSettings()
    routing: RoutingSettings = RoutingSettings()
    redis: RedisSettings = RedisSettings()
    rtpengine: RtpengineSettings = RtpengineSettings()
    account: AccountSettings = AccountSettings()
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Settings with nothing left open: `redis.url`, `rtpengine.ng` and `account.sid` are set.

    `node` names this host among several over one Redis. `route_key` (hex) signs the
    Record-Route parameter, so that only dialogs that came through us are relayed.
    """

    settings: Settings
    node: str
    route_key: str
