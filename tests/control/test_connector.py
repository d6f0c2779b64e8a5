"""`siprec connector` over a real redis-server."""

import io
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.connector import Connector, Srs
from siprec.health import DAY_MS, SrsHealth, srs_key
from siprec.settings import EdgeSettings, Runtime
from siprec.store import Store
from siprec_control.state import read_runtime, state_folder, write_runtime
from tests.control.conftest import ACCOUNT, Stack
from tests.siprec.pem import certificate, ec_key, pem

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]
SECRET = "s3cret-token"


def stored(stack: Stack) -> Connector:
    """Give the connector `main` with its secrets."""
    found = Store(stack.redis, stack.prefix).connector(ACCOUNT, "main")
    assert found is not None
    return found


def test_connector_is_set_listed_shown_and_deleted(stack: Stack, capsys: Output) -> None:
    assert stack.run("connector", "set", "main", "--srs", "sip:srs@127.0.0.1:5080") == 0
    assert stack.run("connector", "list") == 0
    assert capsys.readouterr().out == (
        "connector main goes to sip:srs@127.0.0.1:5080\n"
        "NAME  SRS                     DELIVERY  REQUIRED  REACHABLE\n"
        "main  sip:srs@127.0.0.1:5080  failover  no        -\n"
    )
    assert stack.run("connector", "show", "main") == 0
    out = capsys.readouterr().out
    assert f"account_sid        {ACCOUNT}\n" in out
    assert "credential_value   not set\n" in out
    assert out.splitlines()[-1].startswith("sip:srs@127.0.0.1:5080  1         1       0")
    assert stack.run("connector", "delete", "main") == 0
    assert stack.run("connector", "list") == 0
    assert capsys.readouterr().out == "connector main deleted\nno connectors\n"


def test_json_holds_the_record_and_no_secret(
    stack: Stack, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SECRET.encode() + b"\n")))
    words = ["--credential-header", "X-Key", "--credential-file", "-", "--json"]
    assert stack.run("connector", "set", "main", "--srs", "sip:127.0.0.1", *words) == 0
    out = capsys.readouterr().out
    made = json.loads(out)
    assert made["srs"] == [
        {
            "uri": "sip:127.0.0.1",
            "priority": 1,
            "weight": 1,
            "max_sessions": None,
            "drained": False,
        }
    ]
    assert (made["answer_s"], made["credential_header"]) == (10, "X-Key")
    assert made["credential_value"] not in ("", SECRET)
    assert stack.run("connector", "list", "--json") == 0
    out += capsys.readouterr().out
    assert stack.run("connector", "show", "main", "--json") == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)["health"][0]["reachable"] is None
    assert stack.run("connector", "drain", "main", "sip:127.0.0.1", "--json") == 0
    drained = capsys.readouterr().out
    assert json.loads(drained)["srs"][0]["drained"] is True
    for text in (out, shown, drained, *stack.redis.hvals(f"{stack.prefix}connectors:{ACCOUNT}")):
        assert SECRET not in text
    assert stored(stack).credential_value == SECRET
    assert stack.run("connector", "delete", "main", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": "main"}


def test_set_again_tells_which_secrets_it_keeps(
    stack: Stack, capsys: Output, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    set_main = ["connector", "set", "main", "--srs", "sip:h"]
    login = ["--credential-header", "Authorization", "--credential-file", "token"]
    assert stack.run(*set_main, *login) == 0
    assert capsys.readouterr().err == ""
    assert stack.run(*set_main, "--answer-s", "5") == 0
    assert capsys.readouterr().err == (
        "siprec: note: kept from before: credential_header, credential_value "
        "(--no-credentials forgets them)\n"
    )
    assert (stored(stack).answer_s, stored(stack).credential_value) == (5, SECRET)
    # What is kept may be what stands in the way.
    digest = ["--digest-user", "u", "--digest-password-file", "token"]
    assert stack.run(*set_main, *digest) == 1
    assert "kept from before: --no-credentials forgets it" in capsys.readouterr().err
    assert stack.run(*set_main, *digest, "--no-credentials") == 0
    assert capsys.readouterr().err == ""
    assert stored(stack).credential_value == ""
    assert stored(stack).digest_password == SECRET


def test_set_warns_of_certificates_that_end_soon(
    stack: Stack, capsys: Output, tmp_path: Path
) -> None:
    key = ec_key()
    # Certificates of the tests end so many days after 2030-01-01.
    soon = 20 - (1_893_456_000_000 - time.time() * 1000) / DAY_MS
    (tmp_path / "client.pem").write_text(certificate(key, days=soon))
    (tmp_path / "client.key").write_text(pem(key))
    pair = ["--tls-certificate", "client.pem", "--tls-key", "client.key"]
    assert stack.run("connector", "set", "main", "--srs", "sips:h", *pair) == 0
    err = capsys.readouterr().err
    assert err.startswith("siprec: warning: tls_certificate: CN=client.example expires on ")
    assert err.count("\n") == 1


def test_drained_recorder_stays_drained_until_undrained(stack: Stack, capsys: Output) -> None:
    two = ["connector", "set", "main", "--srs", "sip:a", "--srs", "sip:b,priority=2"]
    assert stack.run(*two) == 0
    assert stack.run("connector", "drain", "main", "sip:a") == 0
    assert capsys.readouterr().out.endswith("sip:a gets no new recordings\n")
    assert stack.run(*two) == 0
    assert capsys.readouterr().err == "siprec: note: sip:a is still drained\n"
    assert stored(stack).srs == (Srs(uri="sip:a", drained=True), Srs(uri="sip:b", priority=2))
    assert stack.run("connector", "drain", "main", "sip:b") == 0
    assert "all recorders are drained" in capsys.readouterr().err
    assert stack.run("connector", "undrain", "main", "sip:a") == 0
    assert capsys.readouterr().out == "sip:a gets recordings again\n"
    assert [srs.drained for srs in stored(stack).srs] == [False, True]


def test_show_tells_the_health_of_each_recorder(stack: Stack, capsys: Output) -> None:
    assert stack.run("connector", "set", "main", "--srs", "sip:a") == 0
    health = SrsHealth(key=srs_key(ACCOUNT, "main", "sip:a"), reachable=False, text="no answer")
    Store(stack.redis, stack.prefix).put_health(health)
    capsys.readouterr()
    assert stack.run("connector", "show", "main") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("no answer")
    assert stack.run("connector", "list") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("0 of 1")


def test_edge_in_a_uri_must_be_one_of_the_running_stack(stack: Stack, capsys: Output) -> None:
    state = state_folder(None)
    words = ("connector", "set", "main", "--srs", "sip:a;edge=dublin")
    assert stack.run(*words) == 1
    assert "none is configured" in capsys.readouterr().err
    runtime: Runtime = read_runtime(state)
    edge = EdgeSettings(name="dublin", listen=("tcp:127.0.0.2:5070",))
    write_runtime(state, replace(runtime, settings=replace(runtime.settings, edges=(edge,))))
    assert stack.run(*words) == 0


def test_tls_address_of_another_connector_needs_its_profile(stack: Stack, capsys: Output) -> None:
    assert stack.run("connector", "set", "main", "--srs", "sips:h") == 0
    words = ("connector", "set", "other", "--srs", "sips:h:5061", "--tls-version", "1.3")
    assert stack.run(*words) == 1
    assert "the connector 'main' reaches h with another CA" in capsys.readouterr().err


def test_tls_address_by_another_name_needs_the_profile_too(stack: Stack, capsys: Output) -> None:
    assert stack.run("connector", "set", "main", "--srs", "sips:127.0.0.1") == 0
    words = ("connector", "set", "other", "--srs", "sips:localhost", "--tls-version", "1.3")
    assert stack.run(*words) == 1
    assert "the connector 'main' reaches 127.0.0.1 with another CA" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["set", "a/b", "--srs", "sip:127.0.0.1"], "connector: name: "),
        (["set", "a", "--srs", "http://x"], "connector: srs[0].uri: scheme: "),
        (["set", "a", "--srs", "sip:x", "--answer-s", "0"], "connector: answer_s: 0 must be"),
        (["set", "a", "--srs", "sip:x", "--tls-ca", "none"], "--tls-ca: none: No such file"),
        (["show", "none"], "NAME: no connector 'none'"),
        (["drain", "none", "sip:x"], "NAME: no connector 'none'"),
        (["delete", "none"], "NAME: no connector 'none'"),
        (["undrain", "main", "sip:x"], "URI: 'sip:x' is none of sip:a"),
    ],
)
def test_error_names_the_field(stack: Stack, capsys: Output, words: list[str], named: str) -> None:
    record = Connector(account_sid=ACCOUNT, name="main", srs=(Srs(uri="sip:a"),))
    Store(stack.redis, stack.prefix).put_connector(record)
    assert stack.run("connector", *words) == 1
    captured = capsys.readouterr()
    assert named in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
