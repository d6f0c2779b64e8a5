"""Settings with nothing left open: what `siprec run` decides before it starts anything."""

import json
import re
import secrets
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from siprec.redis_acl import RedisUser
from siprec.settings import RedisSettings, Runtime, Settings
from siprec_control.errors import StateError
from siprec_control.ports import free_udp_ports
from siprec_control.redis_users import resolve_passwords, socket_url, write_acl
from siprec_control.secret_keys import resolve_key_file
from siprec_control.state import StateFolder, write_private, write_runtime
from siprec_control.tls_certificate import resolve_tls
from siprec_control.tls_profiles import LOADED
from siprec_control.tls_proxies import LOOPBACK, TlsPlan, outsides, runtime_proxies
from siprec_control.values import split_host_port

_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The default account: its sid, and the token that REST callers and signatures use."""

    sid: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one `siprec run` runs. The embedded processes are those we start ourselves.

    `redis_socket` is None when `redis.url` is set; `embeds_rtpengine` is False when
    `rtpengine.ng` lists instances. `tls` is None without a `tls:` socket.
    """

    runtime: Runtime
    state: StateFolder
    sockets: Path
    redis_socket: Path | None
    embeds_rtpengine: bool
    tls: TlsPlan | None = None


def resolve(settings: Settings, state: StateFolder) -> Plan:
    """Decide what is open in the settings, keep it in the state folder, write runtime.json.

    The caller holds the folder's lock, and removes runtime.json, sockets and secrets when the
    stack has ended.

    Raises:
        StateError: a file of the state folder cannot be read or written.
        StartError: a certificate of the operator's cannot be used.
    """
    sockets = state.sockets()
    account = resolve_account(settings, state)
    redis_socket = sockets / "redis.sock" if settings.redis.url is None else None
    found = outsides(settings)
    ng_port, src_port, sip_port, *ports = free_udp_ports(LOOPBACK, 3 + len(found))
    ng = settings.rtpengine.ng or (f"{LOOPBACK}:{ng_port}",)
    runtime = Runtime(
        settings=replace(
            settings,
            redis=_redis(settings.redis, redis_socket, state),
            rtpengine=replace(settings.rtpengine, ng=ng),
            account=replace(settings.account, sid=account.sid),
        ),
        embeds_rtpengine=not settings.rtpengine.ng,
        node=socket.gethostname(),
        route_key=_route_key(state),
        secret_key_file=resolve_key_file(settings, state),
    )
    tls = None
    if found:
        tls = TlsPlan(
            folder=state.secrets(),
            outsides=tuple(found),
            insides=tuple(f"{LOOPBACK}:{port}" for port in ports),
            src_inside=f"{LOOPBACK}:{src_port}",
            sip_inside=f"{LOOPBACK}:{sip_port}",
            callers=settings.sip.allow,
        )
        runtime = _with_tls(runtime, tls, state)
    write_runtime(state, runtime)
    return Plan(
        tls=tls,
        runtime=runtime,
        state=state,
        sockets=sockets,
        redis_socket=redis_socket,
        embeds_rtpengine=not settings.rtpengine.ng,
    )


def _redis(settings: RedisSettings, socket: Path | None, state: StateFolder) -> RedisSettings:
    """Give each role the URL of its own user of the embedded Redis, and that Redis its users."""
    if socket is None:
        return settings
    passwords = resolve_passwords(state)
    write_acl(state, settings.prefix, passwords)
    return replace(
        settings,
        url=socket_url(socket, RedisUser.CONTROL, passwords),
        proxy_url=socket_url(socket, RedisUser.PROXY, passwords),
        controller_url=socket_url(socket, RedisUser.CONTROLLER, passwords),
    )


def _with_tls(runtime: Runtime, tls: TlsPlan, state: StateFolder) -> Runtime:
    """Let the roles know their TLS proxies, and the TLS proxies their certificate."""
    settings = runtime.settings
    hosts = [split_host_port(each.shown)[0] for each in tls.outsides]
    shown = resolve_tls(settings.tls, state, hosts)
    proxies = runtime_proxies(tls.outsides, tls.insides)
    allow = settings.sip.allow
    takes_calls = any(each.is_for_calls for each in tls.outsides)
    # Who may call is decided by the TLS proxy; what comes out of it may.
    if takes_calls and f"{LOOPBACK}/32" not in allow:
        allow = (*allow, f"{LOOPBACK}/32")
    return replace(
        runtime,
        settings=replace(settings, tls=shown, sip=replace(settings.sip, allow=allow)),
        tls_proxies=proxies,
        src_inside=tls.src_inside if proxies else "",
        sip_inside=tls.sip_inside if takes_calls else "",
        tls_loaded=str(tls.folder / LOADED),
    )


def resolve_account(settings: Settings, state: StateFolder) -> Account:
    """Give the default account, made at the first start.

    The sid is `account.sid` or that of STATE/account.json; the token is the first line of
    `account.token_file` or that of STATE/account.json. What is missing is made, mode 0600.

    Raises:
        StateError: a file cannot be read or written, or holds something else.
    """
    kept = _kept_account(state.account)
    own = Account(
        sid=settings.account.sid or (kept.sid if kept else f"AC{secrets.token_hex(16)}"),
        token=kept.token if kept else secrets.token_hex(16),
    )
    if own != kept:
        write_private(state.account, json.dumps({"sid": own.sid, "token": own.token}) + "\n")
    if settings.account.token_file is None:
        return own
    return replace(own, token=_kept_secret(Path(settings.account.token_file)))


def _kept_account(path: Path) -> Account | None:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        account = Account(sid=plain["sid"], token=plain["token"])
        if not (_ACCOUNT_SID.fullmatch(account.sid) and account.token):
            raise ValueError
        return account
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{path}: is not an account (sid, token)") from None


def _route_key(state: StateFolder) -> str:
    key = _kept_secret(state.route_key)
    if not re.fullmatch(r"[0-9a-f]{64}", key):
        raise StateError(f"{state.route_key}: is not 64 hex digits")
    return key


def _kept_secret(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        made = secrets.token_hex(32)
        write_private(path, made + "\n")
        return made
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise StateError(f"{path}: is not text") from None
    if not text:
        raise StateError(f"{path}: is empty")
    return text.splitlines()[0]
