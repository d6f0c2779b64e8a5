"""What people read on the terminal."""

import json
from datetime import datetime

import pytest

from siprec.connector import Connector, Srs
from siprec_control import output


def test_time_is_local_iso_with_its_offset() -> None:
    text = output.local_time(1_700_000_000_123, exact=True)
    assert datetime.fromisoformat(text).timestamp() == 1_700_000_000.123
    assert datetime.fromisoformat(text).tzinfo is not None
    assert output.local_time(None) == "-"


def test_duration_needs_both_ends() -> None:
    assert output.duration(1000, 3540) == "2.5 s"
    assert output.duration(1000, None) == "-"


def test_table_has_aligned_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A", "LONGER"), [("wide cell", ""), ("x", "y")], none="nothing")
    assert capsys.readouterr().out == "A          LONGER\nwide cell  -\nx          y\n"


def test_empty_table_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A",), [], none="no calls")
    assert capsys.readouterr().out == "no calls\n"


def test_text_from_the_network_cannot_move_the_cursor() -> None:
    assert output.shown("Zoë\x1b[2J\n") == "Zoë\\x1b[2J\\n"


def test_records_become_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json([Connector(account_sid="AC", name="ä", srs=(Srs(uri="sip:x"),))])
    (plain,) = json.loads(capsys.readouterr().out)
    assert (plain["name"], plain["parameters"], plain["codecs"]) == ("ä", "both", [])
    assert plain["srs"][0]["uri"] == "sip:x"


def test_json_hides_secrets_of_records_anywhere_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    srs = (Srs(uri="sip:x"),)
    connector = Connector(account_sid="AC", name="c", srs=srs, tls_key="geheim", digest_user="me")
    output.print_json({"connectors": [connector], "one": connector})
    out = capsys.readouterr().out
    assert "geheim" not in out
    for plain in (json.loads(out)["connectors"][0], json.loads(out)["one"]):
        assert (plain["tls_key"], plain["digest_user"]) == ("(hidden)", "me")
        assert plain["digest_password"] == ""
