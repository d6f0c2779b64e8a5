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


class ToldTo(StrEnum):
    """Whose SDP says `a=record`: that for endpoints that are aware of it, all, or none."""

    AWARE = "aware"
    ALL = "all"
    NONE = "none"


class OnPreference(StrEnum):
    """What becomes of the `a=recordpref` of an endpoint."""

    IGNORE = "ignore"
    HONOUR = "honour"


class OnSessionId(StrEnum):
    """What an endpoint without a Session-ID (RFC 7989) gets: none, or one of ours."""

    PASS = "pass"
    GENERATE = "generate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSettings:
    """The proxy role. `listen` items are `udp:HOST:PORT`, `tcp:` or `tls:`, IPv6 in brackets.

    `allow` lists the networks (CIDR) that may place calls; `advertise` is `HOST[:PORT]`.
    """

    listen: tuple[str, ...] = ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060")
    advertise: str | None = None
    workers: int = 4
    allow: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    request_uri_routing: bool = False
    session_id: OnSessionId = OnSessionId.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """Whether the proxy role runs. Without it a proxy of the operator's own reports the calls."""

    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SrcSettings:
    """The SRC role: the sockets toward recorders, and how many controllers share the shards."""

    listen: tuple[str, ...] = (
        "udp:127.0.0.1:5070",
        "tcp:127.0.0.1:5070",
        "tls:127.0.0.1:5071",
    )
    advertise: str | None = None
    workers: int = 2
    controllers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """Where calls without a document, and dialled numbers, go: `sip:HOST[:PORT]`."""

    gateway: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """`url` unset means an embedded redis-server in the state folder.

    `proxy_url` and `controller_url` are for those two roles, when Redis knows them as other
    users; unset they are `url`. `lookup_ms` is how long a call waits for Redis at most before it
    goes on without; a fifth of it is for connecting.
    """

    url: str | None = None
    prefix: str = "siprec:"
    proxy_url: str | None = None
    controller_url: str | None = None
    lookup_ms: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpengineSettings:
    """`ng` lists running instances (`HOST:PORT`); empty means an embedded one with the rest."""

    ng: tuple[str, ...] = ()
    interface: str = "127.0.0.1"
    port_min: int = 30000
    port_max: int = 39999


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """`[edges.NAME]`: a site that signalling and media toward recorders leave from.

    `listen` and `advertise` are as in `[src]`. `media` is the address (`ADDR` or
    `ADDR!ADVERTISED`) of the embedded rtpengine's interface of that name; rtpengines of the
    operator have a logical interface that is called `interface`, else like the edge.
    """

    name: str
    listen: tuple[str, ...]
    advertise: str | None = None
    media: str | None = None
    interface: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """`[tls]`: what we show to peers that connect to us; PEM files.

    Unset: a self-signed certificate, made at the first start. `client_ca` demands that calls
    over TLS come with a certificate of that CA.
    """

    certificate: str | None = None
    private_key: str | None = None
    client_ca: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSettings:
    """`[secrets]`: the file (mode 0600) with the keys that seal what Redis keeps.

    Unset: $SIPREC_SECRET_KEYS, else a file in the state folder, made at the first start.
    """

    key_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """The default account. `sid` unset: made at the first start and kept in the state folder."""

    sid: str | None = None
    token_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSettings:
    """`[control]`: where the REST API listens (`HOST:PORT`), and what it may reach.

    `tls_cert` and `tls_key` are PEM files. `public_url` is how callers name us when that is not
    where we listen. `allow_private_urls` are networks (CIDR) that callbacks and documents may
    come from although they are private. Off loopback it listens only with TLS, or when
    `insecure_public` says that something in front of it has TLS. `requests_per_s` and
    `requests_burst` limit each credential, and each address that has none.
    """

    listen: str = "127.0.0.1:8080"
    tls_cert: str | None = None
    tls_key: str | None = None
    public_url: str | None = None
    allow_private_urls: tuple[str, ...] = ()
    insecure_public: bool = False
    requests_per_s: int = 50
    requests_burst: int = 100


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
class AwarenessSettings:
    """`[awareness]`: how the parties of a call come to know that it is recorded.

    `tone` is a sound file that rtpengine plays to both when recording begins and, unless
    `tone_interval_s` is 0, again and again.
    """

    attribute: ToldTo = ToldTo.AWARE
    preference: OnPreference = OnPreference.IGNORE
    tone: str | None = None
    tone_interval_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of `siprec.toml`."""

    sip: SipSettings = SipSettings()
    proxy: ProxySettings = ProxySettings()
    src: SrcSettings = SrcSettings()
    routing: RoutingSettings = RoutingSettings()
    redis: RedisSettings = RedisSettings()
    rtpengine: RtpengineSettings = RtpengineSettings()
    account: AccountSettings = AccountSettings()
    limits: LimitSettings = LimitSettings()
    log: LogSettings = LogSettings()
    edges: tuple[EdgeSettings, ...] = ()
    tls: TlsSettings = TlsSettings()
    secrets: SecretSettings = SecretSettings()
    awareness: AwarenessSettings = AwarenessSettings()
    control: ControlSettings = ControlSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsProxy:
    """A TLS proxy of this node: the `tls:` socket of `[src]` (edge None) or of an edge.

    `inside` is `HOST:PORT` (UDP), where our own requests go in; `shown` is `HOST:PORT` as
    recorders know it.
    """

    edge: str | None
    listen: str
    shown: str
    inside: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Settings with nothing left open: `redis.url`, `rtpengine.ng` and `account.sid` are set.

    `node` names this host among several over one Redis. `route_key` (hex) signs the
    Record-Route parameter, so that only dialogs that came through us are relayed.
    `secret_key_file` holds the keys of siprec.vault ("": they stand in $SIPREC_SECRET_KEYS).
    `tls_proxies` are those toward recorders; `src_inside` (`HOST:PORT`, UDP) is where the SRC
    role talks with them, and `tls_loaded` a file with the names of the profiles they know, one
    a line. `sip_inside` is where the proxy role hears the TLS proxy of `[sip]`. They are empty
    without a `tls:` socket. `embeds_rtpengine` tells that `rtpengine.ng` is one of our own.
    """

    settings: Settings
    node: str
    route_key: str
    secret_key_file: str = ""
    tls_proxies: tuple[TlsProxy, ...] = ()
    src_inside: str = ""
    sip_inside: str = ""
    tls_loaded: str = ""
    embeds_rtpengine: bool = False
