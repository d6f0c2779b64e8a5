"""siprec.toml: what is accepted, and how errors name the line and key."""

from dataclasses import fields
from pathlib import Path

import pytest

from siprec.settings import (
    AwarenessSettings,
    ControlSettings,
    EdgeSettings,
    LogFormat,
    LogLevel,
    OnPreference,
    Settings,
    TlsSettings,
    ToldTo,
)
from siprec_control.config import (
    EDGE_RULES,
    EDGES,
    RULES,
    load_settings,
    parse_settings,
    read_settings,
)
from siprec_control.errors import ConfigError

FILE = Path("siprec.toml")

EVERYTHING = """
[sip]
listen = ["udp:192.0.2.1:5060", "tcp:[2001:db8::1]:5060", "tls:192.0.2.1:5061"]
advertise = "sip.example.com:5080"
workers = 8
allow = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]
request_uri_routing = true
[src]
listen = ["tcp:[::1]:5070", "tls:[::1]:5071"]
advertise = "[2001:db8::2]"
workers = 3
controllers = 4
[routing]
gateway = "sip:gw.example.com:5062;transport=tcp"
[redis]
url = "redis://:secret@127.0.0.1:6379/2"
prefix = "rec:"
[rtpengine]
ng = ["127.0.0.1:2223", "[::1]:2224"]
interface = "pub/192.0.2.1!198.51.100.1"
port_min = 20000
port_max = 20999
[edges.ashburn]
listen = ["udp:192.0.2.2:5070", "tls:192.0.2.2:5071"]
advertise = "198.51.100.2"
interface = "ash"
[edges.eu-1]
listen = ["tcp:192.0.2.3:5070"]
[tls]
certificate = "tls.pem"
private_key = "/etc/siprec/tls.key"
client_ca = "clients.pem"
[secrets]
key_file = "keys"
[awareness]
attribute = "all"
preference = "honour"
tone = "beep.wav"
tone_interval_s = 15
[account]
sid = "AC0123456789abcdef0123456789abcdef"
token_file = "/etc/siprec/token"
[limits]
tracks_per_call = 2
call_s = 60
history_s = 90
[log]
level = "debug"
format = "json"
[control]
listen = "0.0.0.0:8443"
tls_cert = "api.pem"
tls_key = "/etc/siprec/api.key"
public_url = "https://api.example.com/"
allow_private_urls = ["10.0.0.0/8"]
insecure_public = true
requests_per_s = 5
requests_burst = 10
"""

BAD = [
    ("sip.listen", '"udp:127.0.0.1:5060"', "is not a list"),
    ("awareness.attribute", '"some"', "is none of aware, all, none"),
    ("awareness.preference", "true", "is none of ignore, honour"),
    ("awareness.tone", '""', "is empty"),
    ("awareness.tone_interval_s", "3601", "is not in 0..3600"),
    ("awareness.tone_interval_s", "15", "needs tone beside it"),
    ("sip.listen", "[]", "needs at least one item"),
    ("sip.listen", "[5060]", "5060 is not a string"),
    ("sip.listen", '["sctp:127.0.0.1:5061"]', "is not udp:HOST:PORT, tcp:HOST:PORT or tls:"),
    ("sip.listen", '["tls:127.0.0.1:5061"]', "needs a udp: or tcp: socket"),
    ("sip.listen", '["udp:[::]:5060", "tls:[::]:5061"]', "tls:[::]:5061 needs advertise"),
    ("sip.listen", '["tcp:127.0.0.1:1", "tls:127.0.0.1:1"]', "is [sip] listen's already"),
    ("sip.listen", '["udp:127.0.0.1"]', "has no port"),
    ("sip.listen", '["udp:127.0.0.1:0"]', "'0' is not a port"),
    ("sip.listen", '["udp:127.0.0.1:65536"]', "'65536' is not a port"),
    ("sip.listen", '["udp:::1:5060"]', "stands in brackets"),
    ("sip.listen", '["udp:[::1:5060"]', "wrong IPv6 address"),
    ("sip.listen", '["udp:[127.0.0.1]:5060"]', "wrong IPv6 address"),
    ("sip.listen", '["udp:host.example:5060"]', "is not an IP address"),
    ("sip.listen", '["udp:127.0.0.1:5060", "udp:127.0.0.1:5060"]', "stands there twice"),
    ("sip.advertise", '""', "is empty"),
    ("sip.advertise", '"a b"', "'a b' is not a host"),
    ("sip.advertise", '"host:x"', "'x' is not a port"),
    ("sip.workers", "0", "0 is not in 1..64"),
    ("sip.workers", "65", "65 is not in 1..64"),
    ("sip.workers", "true", "true is not a whole number"),
    ("sip.workers", "1.5", "1.5 is not a whole number"),
    ("sip.allow", '["192.0.2.1/24"]', "is not a network"),
    ("sip.allow", '["example.com"]', "is not a network"),
    ("sip.session_id", '"always"', "is none of pass, generate"),
    ("sip.request_uri_routing", '"yes"', "'yes' is not true or false"),
    ("proxy.enabled", '"no"', "'no' is not true or false"),
    ("proxy.enabled", "false", "false needs [rtpengine] ng"),
    ("src.listen", "{}", "a table is not a list"),
    ("src.listen", '["tcp:127.0.0.1:5060"]', "is [sip] listen's already"),
    ("src.listen", '["tls:127.0.0.1:5060"]', "is [sip] listen's already"),
    ("src.advertise", '"[::1"', "wrong IPv6 address"),
    ("src.workers", "-1", "-1 is not in 1..64"),
    ("src.controllers", '"2"', "'2' is not a whole number"),
    ("routing.gateway", '"sips:gw"', "is not sip:HOST[:PORT]"),
    ("routing.gateway", '"sip:user@gw"', "a gateway has no user part"),
    ("routing.gateway", '"sip:gw;transport=tls"', "is not transport=udp or transport=tcp"),
    ("routing.gateway", '"sip:gw;transport=udp;transport=tcp"', "more than one transport"),
    ("routing.gateway", '"sip:gw:99999"', "'99999' is not a port"),
    ("routing.gateway", "[]", "a list is not a string"),
    ("redis.url", '"http://127.0.0.1"', "is not redis://"),
    ("redis.url", '"redis://:pw@/0"', "is not redis://"),
    ("redis.url", '"redis://h:port"', "is not a Redis URL"),
    ("redis.url", '"redis://h/x"', "is not a database number"),
    ("redis.proxy_url", '"http://127.0.0.1"', "is not redis://"),
    ("redis.controller_url", '"redis://h/x"', "is not a database number"),
    ("redis.lookup_ms", "9", "is not in 10..5000"),
    ("redis.prefix", '"{a}"', "is not up to 64 letters"),
    ("rtpengine.ng", '["127.0.0.1"]', "has no port"),
    ("rtpengine.ng", '["rtp.example:2223"]', "is not an IP address"),
    ("rtpengine.ng", str([f"127.0.0.1:{n}" for n in range(1, 6)]), "at most 4"),
    ("rtpengine.interface", '"eth0"', "is not [NAME/]IP[!ADVERTISED_IP]"),
    ("rtpengine.interface", '"::1,eth0"', "'eth0' is not [NAME/]IP[!ADVERTISED_IP]"),
    ("rtpengine.port_min", "80", "80 is not in 1024..65534"),
    ("rtpengine.port_max", "70000", "70000 is not in 1025..65535"),
    ("rtpengine.port_max", "30001", "30000 to 30001 leaves fewer than 16 ports"),
    ("rtpengine.port_min", "39999", "39999 to 39999 leaves fewer than 16 ports"),
    ("tls.certificate", '"x.pem"', "needs private_key beside it"),
    ("tls.certificate", "1", "1 is not a string"),
    ("tls.private_key", '"x.pem"', "needs certificate beside it"),
    ("tls.client_ca", '""', "is empty"),
    ("secrets.key_file", "[]", "a list is not a string"),
    ("account.sid", '"AC123"', "is not AC and 32 lower-case hex digits"),
    ("account.token_file", "3", "3 is not a string"),
    ("account.token_file", r'"a\u0000"', "holds a control character"),
    ("limits.tracks_per_call", "0", "0 is not in 1..64"),
    ("limits.call_s", "0", "0 is not in"),
    ("limits.history_s", "1e3", "1000.0 is not a whole number"),
    ("control.listen", '"8080"', "'8080' has no port"),
    ("control.listen", '"localhost:8080"', "localhost is not an IP address"),
    ("control.listen", '"0.0.0.0:8080"', "set tls_cert and tls_key, or insecure_public = true"),
    ("control.tls_cert", '"x.pem"', "needs tls_key beside it"),
    ("control.tls_key", '"x.pem"', "needs tls_cert beside it"),
    ("control.public_url", '"api.example.com"', "is not http://HOST[:PORT]"),
    ("control.public_url", '"https://api.example.com/x"', "is not a"),
    ("control.allow_private_urls", '["10.0.0.1/8"]', "is not a network"),
    ("control.insecure_public", "1", "1 is not true or false"),
    ("control.requests_per_s", "0", "0 is not in 1..10000"),
    ("control.requests_burst", "0", "0 is not in 1..100000"),
    ("log.level", '"loud"', "'loud' is none of debug, info, warning, error"),
    ("log.format", "1", "1 is none of text, json"),
]  # fmt: skip


def test_empty_file_gives_the_defaults() -> None:
    assert parse_settings("", FILE) == Settings()


def test_every_key_is_accepted_and_kept() -> None:
    settings = parse_settings(EVERYTHING, FILE)
    assert settings.sip.listen[1:] == ("tcp:[2001:db8::1]:5060", "tls:192.0.2.1:5061")
    assert settings.sip.request_uri_routing is True
    assert settings.src.controllers == 4
    assert settings.routing.gateway == "sip:gw.example.com:5062;transport=tcp"
    assert settings.rtpengine.ng == ("127.0.0.1:2223", "[::1]:2224")
    assert settings.limits.history_s == 90
    assert settings.log.level is LogLevel.DEBUG
    assert settings.log.format is LogFormat.JSON
    assert settings.tls == TlsSettings(
        certificate="tls.pem", private_key="/etc/siprec/tls.key", client_ca="clients.pem"
    )
    assert settings.secrets.key_file == "keys"
    assert settings.awareness == AwarenessSettings(
        attribute=ToldTo.ALL,
        preference=OnPreference.HONOUR,
        tone="beep.wav",
        tone_interval_s=15,
    )
    assert settings.control == ControlSettings(
        listen="0.0.0.0:8443",
        tls_cert="api.pem",
        tls_key="/etc/siprec/api.key",
        public_url="https://api.example.com",
        allow_private_urls=("10.0.0.0/8",),
        insecure_public=True,
        requests_per_s=5,
        requests_burst=10,
    )
    assert settings.edges == (
        EdgeSettings(
            name="ashburn",
            listen=("udp:192.0.2.2:5070", "tls:192.0.2.2:5071"),
            advertise="198.51.100.2",
            interface="ash",
        ),
        EdgeSettings(name="eu-1", listen=("tcp:192.0.2.3:5070",)),
    )


def test_every_setting_has_a_rule_and_every_rule_a_setting() -> None:
    settings = Settings()
    sections = [field.name for field in fields(settings) if field.name != EDGES]
    known = {name: {field.name for field in fields(getattr(settings, name))} for name in sections}
    assert {section: set(rules) for section, rules in RULES.items()} == known
    assert {"name", *EDGE_RULES} == {field.name for field in fields(EdgeSettings)}


@pytest.mark.parametrize(("key", "value", "why"), BAD)
def test_bad_value_names_its_line_and_key(key: str, value: str, why: str) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigError) as caught:
        parse_settings(f"# settings\n\n[{section}]\n# here\n{name} = {value}\n", FILE)
    assert str(caught.value).startswith(f"siprec.toml:5: [{section}] {name}: ")
    assert why in str(caught.value)
    assert (caught.value.line, caught.value.key) == (5, key)


def test_every_key_has_a_bad_value_in_these_tests() -> None:
    tried = {key for key, _, _ in BAD}
    assert tried == {f"{section}.{key}" for section, rules in RULES.items() for key in rules}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sip]\nlisen = []", "siprec.toml:2: [sip] lisen: unknown key (did you mean listen?)"),
        (
            "[redis]\nhost = 1",
            "siprec.toml:2: [redis] host: unknown key (known: url, prefix, proxy_url,"
            " controller_url, lookup_ms)",
        ),
        (
            "[redis]\ncontroller_url = 'unix:///s'",
            "siprec.toml:2: [redis] controller_url: needs url beside it",
        ),
        ("\n[spi]\n", "siprec.toml:2: [spi]: unknown section (did you mean sip?)"),
        ("sip = 3", "siprec.toml:1: [sip]: is not a table"),
        ("[[sip]]\nworkers = 1", "siprec.toml:1: [sip]: is not a table"),
        ("sip.workers = 0", "siprec.toml:1: [sip] workers: 0 is not in 1..64"),
        (
            "[src]\nworkers = 1\n[sip]\nlisten = [\n'udp:127.0.0.1:5070',\n]",
            "siprec.toml:4: [sip] listen: udp:127.0.0.1:5070 is [src] listen's already",
        ),
    ],
)
def test_error_says_where_and_what(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, FILE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[edges.a]\nadvertise = 'h'", "siprec.toml:1: [edges.a] listen: is missing"),
        ("[edges.a_b]\nlisten = []", "siprec.toml:1: [edges] a_b: must be of letters, digits"),
        ("[edges.default]\nlisten = []", "siprec.toml:1: [edges] default: must be of letters"),
        ("[edges.a]\nlisten = []", "siprec.toml:2: [edges.a] listen: needs at least one item"),
        (
            "[edges.a]\nlisten = ['udp:127.0.0.1:1']\nmeda = 'x'",
            "siprec.toml:3: [edges.a] meda: unknown key (did you mean media?)",
        ),
        (
            "[edges.a]\nlisten = ['udp:127.0.0.1:1']\nmedia = 'pub/127.0.0.1'",
            "siprec.toml:3: [edges.a] media: 'pub/127.0.0.1' has a name: it is that of the edge",
        ),
        (
            "[edges.a]\nlisten = ['udp:127.0.0.1:1']\ninterface = 'a b'",
            "siprec.toml:3: [edges.a] interface: 'a b' is not a name of letters",
        ),
        (
            "[rtpengine]\nng = ['127.0.0.1:2']\n"
            "[edges.a]\nlisten = ['udp:127.0.0.1:1']\nmedia = '127.0.0.1'",
            "siprec.toml:5: [edges.a] media: is for the embedded rtpengine",
        ),
        (
            "[edges.a]\nlisten = ['tls:0.0.0.0:1']",
            "siprec.toml:2: [edges.a] listen: tls:0.0.0.0:1 needs advertise",
        ),
        (
            "[edges.a]\nlisten = ['tls:127.0.0.1:1']\n[edges.b]\nlisten = ['tcp:127.0.0.1:1']",
            "siprec.toml:4: [edges.b] listen: tcp:127.0.0.1:1 is [edges.a] listen's already",
        ),
        ("[edges]\na = 1", "siprec.toml:1: [edges]: holds something else than tables"),
        ("[[edges]]\na = 1", "siprec.toml:1: [edges]: holds something else than tables"),
        ("[edgs.a]\nx = 1", "siprec.toml:1: [edgs]: unknown section (did you mean edges?)"),
    ],
)
def test_wrong_edge_says_where_and_what(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, FILE)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "line"),
    [("[sip]\nworkers = \n", 2), ("a = 1\na = 2", 2), ("[sip]\nlisten = [", 2), ("=", 1)],
)
def test_text_that_is_not_toml_names_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, FILE)
    assert str(caught.value).startswith(f"siprec.toml:{line}: not TOML: ")


def test_redis_password_never_stands_in_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings('[redis]\nurl = "rediss://:hunter2@host:x/0"', FILE)
    assert "hunter2" not in str(caught.value)


def test_missing_named_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: does not exist"):
        load_settings(str(tmp_path / "nowhere.toml"))
    monkeypatch.setenv("SIPREC_CONFIG", str(tmp_path))
    with pytest.raises(ConfigError, match="is not a file"):
        load_settings(None)


def test_without_a_named_file_the_folder_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIPREC_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert load_settings(None) == Settings()
    (tmp_path / "siprec.toml").write_text("[sip]\nworkers = 7\n")
    assert load_settings(None).sip.workers == 7


def test_named_files_are_relative_to_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "siprec.toml"
    file.write_text(
        "[account]\ntoken_file = 'token'\n[secrets]\nkey_file = '/keys'\n"
        "[tls]\ncertificate = 'c'\nprivate_key = 'k'\nclient_ca = 'a'\n"
        "[control]\ntls_cert = 'api.pem'\ntls_key = 'api.key'\n"
    )
    settings = read_settings(file)
    assert settings.account.token_file == str(tmp_path / "token")
    assert settings.secrets.key_file == "/keys"
    assert settings.control.tls_cert == str(tmp_path / "api.pem")
    assert settings.control.tls_key == str(tmp_path / "api.key")
    assert settings.tls == TlsSettings(
        certificate=str(tmp_path / "c"),
        private_key=str(tmp_path / "k"),
        client_ca=str(tmp_path / "a"),
    )


def test_file_that_is_not_utf_8_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "siprec.toml"
    file.write_bytes(b"# ok\n# \xff\n")
    with pytest.raises(ConfigError) as caught:
        read_settings(file)
    assert (caught.value.line, caught.value.why) == (2, "not UTF-8")


def test_huge_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "siprec.toml"
    file.write_text("#" * 70_000)
    with pytest.raises(ConfigError, match="larger than 65536 bytes"):
        read_settings(file)
