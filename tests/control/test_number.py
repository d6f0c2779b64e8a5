"""`siprec number` over a real redis-server."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from siprec.numbers import Number
from siprec.record import from_json
from siprec.twiml import compile_document
from siprec.twiml_run import Program
from tests.control.conftest import ACCOUNT, Stack

pytestmark = pytest.mark.daemon

Output = pytest.CaptureFixture[str]

DOCUMENT = "<Response>\n  <Dial>+15550002</Dial>\n</Response>\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "doc.xml"
    path.write_text(DOCUMENT)
    return str(path)


def test_number_is_set_listed_shown_and_deleted(stack: Stack, capsys: Output, file: str) -> None:
    assert stack.run("number", "set", "+1555*", "--twiml", file) == 0
    assert stack.run("number", "list") == 0
    assert capsys.readouterr().out == (
        f"number +1555* follows {file}\nNUMBER  DOCUMENT\n+1555*  {len(DOCUMENT)} bytes\n"
    )
    assert stack.run("number", "show", "+1555*") == 0
    assert capsys.readouterr().out == f"number   +1555*\naccount  {ACCOUNT}\n\n{DOCUMENT}"
    assert stack.run("number", "delete", "+1555*") == 0
    assert stack.run("number", "list") == 0
    assert capsys.readouterr().out == "number +1555* deleted\nno numbers\n"


def test_number_may_have_urls_besides(stack: Stack, capsys: Output, file: str) -> None:
    urls = ["--url", "https://me:pw@h/v?key=k#rc=2", "--fallback-url", "http://i/"]
    assert stack.run("number", "set", "+1", *urls, "--method", "GET", "--twiml", file) == 0
    assert stack.run("number", "list") == 0
    assert capsys.readouterr().out == (
        "number +1 follows https://h/v\nNUMBER  DOCUMENT\n+1      https://h/v\n"
    )
    assert stack.run("number", "show", "+1") == 0
    assert capsys.readouterr().out == (
        f"number        +1\naccount       {ACCOUNT}\nurl           GET https://h/v\n"
        f"fallback-url  POST http://i/\n\n{DOCUMENT}"
    )
    assert stack.run("number", "set", "+1", "--url", "http://i/") == 0
    number = from_json(Number, stack.redis.hget("t:numbers", "+1"))
    assert (number.url, number.program, number.twiml) == ("http://i/", "", "")


def test_compiled_document_is_stored(stack: Stack, file: str) -> None:
    stack.run("number", "set", "*", "--twiml", file)
    number = from_json(Number, stack.redis.hget("t:numbers", "*"))
    assert from_json(Program, number.program) == compile_document(DOCUMENT.encode())


def test_document_is_read_from_standard_input(
    stack: Stack, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(DOCUMENT.encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert stack.run("number", "set", "+1", "--twiml", "-", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    urls = {"url": "", "method": "POST", "fallback_url": "", "fallback_method": "POST"}
    assert made == {"pattern": "+1", "account_sid": ACCOUNT, "twiml": DOCUMENT, **urls}
    assert stack.run("number", "show", "+1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == made
    assert stack.run("number", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [made]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<Response>\n<Siprec/>\n</Response>", "line 2: <Siprec>"),
        ("<Response>\n<Pause length='x'/></Response>", "line 2: <Pause length>"),
        ("no xml", "line 1"),
        ("<!--" + "x" * 65536 + "--><Response/>", "over 65536 bytes"),
    ],
)
def test_error_in_the_document_names_its_place(
    stack: Stack, capsys: Output, tmp_path: Path, text: str, named: str
) -> None:
    (tmp_path / "bad.xml").write_text(text)
    assert stack.run("number", "set", "+1", "--twiml", str(tmp_path / "bad.xml")) == 1
    err = capsys.readouterr().err
    assert f"--twiml: {tmp_path / 'bad.xml'}: " in err
    assert named in err
    assert err.count("\n") == 1
    assert stack.run("number", "show", "+1") == 1


def test_document_with_a_connector_that_is_not_set_is_taken_with_a_note(
    stack: Stack, capsys: Output, tmp_path: Path
) -> None:
    (tmp_path / "doc.xml").write_text(
        '<Response><Start><Siprec connectorName="None yet"/></Start></Response>'
    )
    assert stack.run("number", "set", "+1", "--twiml", str(tmp_path / "doc.xml")) == 0
    out, err = capsys.readouterr()
    assert out.startswith("number +1 follows")
    assert err == "siprec: note: connector None yet is not set yet\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["set", "a b", "--twiml", "doc.xml"], "number 'a b'"),
        (["set", "+1", "--twiml", "none.xml"], "--twiml: none.xml: No such file or directory"),
        (["set", "+1"], "--twiml or --url: one of them is required"),
        (["set", "+1", "--url", "ftp://h/"], "--url: URL must begin with http://"),
        (["set", "+1", "--url", "http://h/#rc=9"], "--url: URL fragment: rc must be"),
        (["set", "+1", "--twiml", "doc.xml", "--fallback-url", "http://h/"], "--fallback-url"),
        (["show", "+1"], "NUMBER: '+1' is not set"),
        (["delete", "+1"], "NUMBER: '+1' is not set"),
    ],
)
def test_error_names_the_field(
    stack: Stack, capsys: Output, file: str, words: list[str], named: str
) -> None:
    assert stack.run("number", *words) == 1
    assert named in capsys.readouterr().err
