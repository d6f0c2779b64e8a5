"""`siprec.toml`: found, parsed and checked into Settings.

Every key is optional. An error names the file, the line and the key.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from siprec.record import from_plain
from siprec.settings import (
    ControlSettings,
    LogFormat,
    LogLevel,
    OnPreference,
    OnSessionId,
    Settings,
    ToldTo,
)
from siprec_control import values
from siprec_control.errors import ConfigError, ControlError
from siprec_control.toml_lines import key_lines

DEFAULT_FILE = "siprec.toml"
MAX_FILE_BYTES = 65_536

# As many as kamailio.cfg has lines for.
MAX_RTPENGINES = 4

Wrong = Callable[[str, str], ConfigError]

RULES: Mapping[str, Mapping[str, values.Check]] = {
    "sip": {
        "listen": values.many(values.listen, at_least=1),
        "advertise": values.host_port_optional,
        "workers": values.whole(1, 64),
        "allow": values.many(values.network),
        "request_uri_routing": values.flag,
        "session_id": values.choice(OnSessionId),
    },
    "proxy": {"enabled": values.flag},
    "src": {
        "listen": values.many(values.listen, at_least=1),
        "advertise": values.host_port_optional,
        "workers": values.whole(1, 64),
        "controllers": values.whole(1, 64),
    },
    "routing": {"gateway": values.gateway},
    "redis": {
        "url": values.redis_url,
        "prefix": values.key_prefix,
        "proxy_url": values.redis_url,
        "controller_url": values.redis_url,
        "lookup_ms": values.whole(10, 5_000),
    },
    "rtpengine": {
        "ng": values.many(values.ip_port, at_most=MAX_RTPENGINES),
        "interface": values.interface,
        "port_min": values.whole(1024, 65534),
        "port_max": values.whole(1025, 65535),
    },
    "tls": {
        "certificate": values.text_value,
        "private_key": values.text_value,
        "client_ca": values.text_value,
    },
    "secrets": {"key_file": values.text_value},
    "awareness": {
        "attribute": values.choice(ToldTo),
        "preference": values.choice(OnPreference),
        "tone": values.text_value,
        "tone_interval_s": values.whole(0, 3600),
    },
    "control": {
        "listen": values.ip_port,
        "tls_cert": values.text_value,
        "tls_key": values.text_value,
        "public_url": values.public_url,
        "allow_private_urls": values.many(values.network),
        "insecure_public": values.flag,
        "requests_per_s": values.whole(1, 10_000),
        "requests_burst": values.whole(1, 100_000),
    },
    "account": {"sid": values.account_sid, "token_file": values.text_value},
    "limits": {
        "tracks_per_call": values.whole(1, 64),
        "call_s": values.whole(1, 604_800),
        "history_s": values.whole(1, 31_536_000),
    },
    "log": {"level": values.choice(LogLevel), "format": values.choice(LogFormat)},
}

EDGES = "edges"
EDGE_RULES: Mapping[str, values.Check] = {
    "listen": values.many(values.listen, at_least=1),
    "advertise": values.host_port_optional,
    "media": values.media,
    "interface": values.logical_name,
}
# What rtpengine calls an interface without a name, and the command line what is no edge.
DEFAULT_EDGE = "default"

_EDGE_NAME = re.compile(r"[A-Za-z0-9-]{1,32}")
_WILDCARDS = ("0.0.0.0", "::")


def load_settings(named: str | None) -> Settings:
    """Read the settings that `siprec run` starts with.

    `named` is `--config`; without it the file is $SIPREC_CONFIG, else ./siprec.toml when
    that exists, else everything is at its default.

    Raises:
        ConfigError: a named file is missing, or the file holds something wrong.
    """
    path = config_path(named)
    return Settings() if path is None else read_settings(path)


def config_path(named: str | None) -> Path | None:
    """Find the settings file; None when none is named and ./siprec.toml does not exist.

    Raises:
        ConfigError: a named file does not exist.
    """
    wanted = named or os.environ.get("SIPREC_CONFIG")
    path = Path(wanted or DEFAULT_FILE)
    if path.is_file():
        return path
    if wanted:
        raise ConfigError(path, 0, "", "is not a file" if path.exists() else "does not exist")
    return None


def read_settings(path: Path) -> Settings:
    """Read and check one settings file.

    Files that it names are relative to its own folder.

    Raises:
        ConfigError: unreadable, not TOML, or a key or value is wrong.
    """
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError(path, 0, "", f"is larger than {MAX_FILE_BYTES} bytes")
        text = data.decode()
    except OSError as error:
        raise ConfigError(path, 0, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, data[: error.start].count(b"\n") + 1, "", "not UTF-8") from error
    return _from_folder(parse_settings(text, path), path.resolve().parent)


def _from_folder(settings: Settings, folder: Path) -> Settings:
    def absolute(file: str | None) -> str | None:
        return None if file is None else str(folder / file)

    tls, control = settings.tls, settings.control
    return replace(
        settings,
        control=replace(
            control, tls_cert=absolute(control.tls_cert), tls_key=absolute(control.tls_key)
        ),
        account=replace(settings.account, token_file=absolute(settings.account.token_file)),
        secrets=replace(settings.secrets, key_file=absolute(settings.secrets.key_file)),
        awareness=replace(settings.awareness, tone=absolute(settings.awareness.tone)),
        tls=replace(
            tls,
            certificate=absolute(tls.certificate),
            private_key=absolute(tls.private_key),
            client_ca=absolute(tls.client_ca),
        ),
    )


def parse_settings(text: str, path: Path) -> Settings:
    """Check the text of a settings file; `path` is only named in errors.

    Raises:
        ConfigError: not TOML, or a key or value is wrong.
    """
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, path, str(error)) from error
    lines = key_lines(text)

    def wrong(key: str, why: str) -> ConfigError:
        return ConfigError(path, lines.get(key, 0), key, why)

    checked: dict[str, object] = {}
    for section, table in plain.items():
        if section == EDGES:
            checked[EDGES] = _check_edges(table, lines, wrong)
            continue
        if section not in RULES:
            raise wrong(section, f"unknown section{_meant(section, {**RULES, EDGES: EDGE_RULES})}")
        if not isinstance(table, dict):
            raise wrong(section, "is not a table")
        checked[section] = _check_section(section, RULES[section], table, wrong)
    settings = from_plain(Settings, checked)
    _check_together(settings, lines, wrong)
    return settings


def _check_section(
    section: str, rules: Mapping[str, values.Check], table: dict[str, Any], wrong: Wrong
) -> dict[str, object]:
    checked: dict[str, object] = {}
    for key, value in table.items():
        rule = rules.get(key)
        if rule is None:
            raise wrong(f"{section}.{key}", f"unknown key{_meant(key, rules)}")
        try:
            checked[key] = rule(value)
        except ValueError as error:
            raise wrong(f"{section}.{key}", str(error)) from None
    return checked


def _check_edges(edges: object, lines: Mapping[str, int], wrong: Wrong) -> list[dict[str, object]]:
    """Check `[edges.NAME]` tables; the records that come back hold their names."""
    if not isinstance(edges, dict) or not all(isinstance(each, dict) for each in edges.values()):
        raise wrong("edges", "holds something else than tables: write [edges.NAME]")
    checked = []
    for name, table in edges.items():
        section = f"edges.{name}"
        if not _EDGE_NAME.fullmatch(name) or name == DEFAULT_EDGE:
            why = f"must be of letters, digits and '-', 32 at most, and not {DEFAULT_EDGE!r}"
            raise wrong(section, why)
        if "listen" not in table:
            error = wrong(f"{section}.listen", "is missing")
            raise ConfigError(error.file, lines.get(section, 0), error.key, error.why)
        checked.append({"name": name, **_check_section(section, EDGE_RULES, table, wrong)})
    return checked


def _check_together(settings: Settings, lines: Mapping[str, int], wrong: Wrong) -> None:
    low, high = settings.rtpengine.port_min, settings.rtpengine.port_max
    if high - low < 15:
        key = "rtpengine.port_max" if "rtpengine.port_max" in lines else "rtpengine.port_min"
        raise wrong(key, f"{low} to {high} leaves fewer than 16 ports")
    if (settings.tls.certificate is None) != (settings.tls.private_key is None):
        given = "certificate" if settings.tls.certificate else "private_key"
        missing = "private_key" if settings.tls.certificate else "certificate"
        raise wrong(f"tls.{given}", f"needs {missing} beside it")
    check_control(settings.control, wrong)
    if settings.awareness.tone_interval_s and settings.awareness.tone is None:
        raise wrong("awareness.tone_interval_s", "needs tone beside it")
    if settings.redis.url is None:
        for name in ("proxy_url", "controller_url"):
            if getattr(settings.redis, name) is not None:
                raise wrong(f"redis.{name}", "needs url beside it")
    for edge in settings.edges:
        if edge.media is not None and settings.rtpengine.ng:
            why = "is for the embedded rtpengine; of those in [rtpengine] ng name the interface"
            raise wrong(f"edges.{edge.name}.media", why)
    if not settings.proxy.enabled and not settings.rtpengine.ng:
        raise wrong("proxy.enabled", "false needs [rtpengine] ng: where your proxy has its media")
    if all(item.startswith("tls:") for item in settings.sip.listen):
        raise wrong("sip.listen", "needs a udp: or tcp: socket, from which calls go out")
    _check_sockets(settings, lines, wrong)


def check_control(control: ControlSettings, wrong: Callable[[str, str], ControlError]) -> None:
    """Refuse half a certificate, and an API that strangers could listen to.

    Raises:
        ControlError: what `wrong` makes of a key (`control.listen`) and why it cannot be so.
    """
    if (control.tls_cert is None) != (control.tls_key is None):
        given, missing = ("tls_cert", "tls_key") if control.tls_cert else ("tls_key", "tls_cert")
        raise wrong(f"control.{given}", f"needs {missing} beside it")
    host, _ = values.split_host_port(control.listen)
    if ip_address(host).is_loopback or control.tls_cert or control.insecure_public:
        return
    why = f"{control.listen} is not loopback: set tls_cert and tls_key, or insecure_public = true"
    raise wrong("control.listen", why)


def _check_sockets(settings: Settings, lines: Mapping[str, int], wrong: Wrong) -> None:
    """Refuse a socket that stands twice, and one for TLS that no peer could be told."""
    places: list[tuple[str, tuple[str, ...], str | None]] = [
        ("sip", settings.sip.listen, settings.sip.advertise),
        ("src", settings.src.listen, settings.src.advertise),
        *((f"edges.{edge.name}", edge.listen, edge.advertise) for edge in settings.edges),
    ]
    taken: dict[tuple[bool, str, int], str] = {}
    for section, listen, advertise in places:
        key = f"{section}.listen"
        for item in listen:
            transport, host, port = values.parse_listen(item)
            if transport == "tls" and host in _WILDCARDS and advertise is None:
                raise wrong(key, f"{item} needs advertise: peers are told where")
            # TLS has the ports of TCP.
            place = (transport == "udp", host, port)
            if (other := taken.get(place)) is not None:
                blamed, other = (section, other) if key in lines else (other, section)
                raise wrong(f"{blamed}.listen", f"{item} is [{other}] listen's already")
            taken[place] = section


def _meant(word: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(known)})"


def _syntax_error(text: str, path: Path, message: str) -> ConfigError:
    at = re.search(r" \(at line (\d+), column \d+\)$", message)
    line = int(at[1]) if at else text.count("\n") + 1
    why = message[: at.start()] if at else message.removesuffix(" (at end of document)")
    return ConfigError(path, line, "", f"not TOML: {why}")
