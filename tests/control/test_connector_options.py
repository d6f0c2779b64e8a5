"""The options of `siprec connector set`."""

import argparse
import io
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest

from siprec.connector import (
    Connector,
    Delivery,
    Digits,
    Keying,
    MetadataBy,
    MetadataType,
    OnHold,
    OnSecureCall,
    ParametersIn,
    RtpProfile,
    Srs,
    TlsVersion,
)
from siprec_control.cli import parser
from siprec_control.commands.connector_options import (
    MAX_FILE_BYTES,
    Given,
    connector_of,
    option_of,
    parse_srs,
)
from siprec_control.errors import Refused

ACCOUNT = "AC1"
FILES = ("credential_value", "digest_password", "tls_ca", "tls_certificate", "tls_key")
STORED = Connector(
    account_sid=ACCOUNT,
    name="main",
    srs=(Srs(uri="sip:a", drained=True), Srs(uri="sip:b")),
    answer_s=5,
    header_prefix="X-",
    credential_header="X-Key",
    credential_value="v1",
    digest_user="u",
    digest_password="p1",
    tls_ca="ca",
    tls_certificate="cert",
    tls_key="key",
)


def given(*words: str, before: Connector | None = None) -> Given:
    """Give what `siprec connector set main …` asks for."""
    arguments = parser().parse_args(["connector", "set", "main", *words])
    return connector_of(arguments, ACCOUNT, before)


def test_options_left_out_give_the_defaults() -> None:
    plain = Connector(account_sid=ACCOUNT, name="main", srs=(Srs(uri="sip:a"),))
    assert given("--srs", "sip:a").connector == plain


def test_video_has_an_option() -> None:
    # It does not go with codecs, so it is not among all the others.
    assert given("--srs", "sip:a", "--video").connector.video


def test_every_other_field_has_an_option(tmp_path: Path) -> None:
    words = {
        "name": "main",
        "srs": "sip:a,priority=2,weight=3,max-sessions=4",
        "delivery": "parallel",
        "parameters": "headers",
        "header_prefix": "X-",
        "headers": "X-Site=a=b",
        "credential_header": "X-Key",
        "credential_value": "secret ",
        "digest_user": "u",
        "digest_password": "pass",
        "tls_ca": "ca\n",
        "tls_certificate": "cert\n",
        "tls_key": "key\n",
        "tls_version": "1.3",
        "metadata_type": "application/rs-metadata",
        "codecs": "PCMA, opus",
        "digits": "keep",
        "rtp_profile": "avpf",
        "keying": "dtls",
        "suites": "AEAD_AES_256_GCM",
        "early_media": "",
        "keys_in_clear": "",
        "on_secure_call": "refuse",
        "answer_s": "1",
        "total_s": "2",
        "required": "",
        "end_call_s": "3",
        "options_s": "0",
        "failures": "4",
        "hold": "inactive",
        "metadata_by": "update",
        "session_expires_s": "90",
    }
    line: list[str] = []
    for field in fields(Connector):
        if field.name in ("account_sid", "name", "video"):
            continue
        word = words[field.name]
        if field.name in FILES:
            file = tmp_path / field.name
            file.write_text(word if field.name.startswith("tls") else f"{word}\r\n")
            word = str(file)
        line += [option_of(field.name), *([word] if word else [])]
    assert given(*line).connector == Connector(
        account_sid=ACCOUNT,
        name="main",
        srs=(Srs(uri="sip:a", priority=2, weight=3, max_sessions=4),),
        delivery=Delivery.PARALLEL,
        parameters=ParametersIn.HEADERS,
        header_prefix="X-",
        headers=(("X-Site", "a=b"),),
        credential_header="X-Key",
        credential_value="secret ",
        digest_user="u",
        digest_password="pass",
        tls_ca="ca\n",
        tls_certificate="cert\n",
        tls_key="key\n",
        tls_version=TlsVersion.V1_3,
        metadata_type=MetadataType.RS_METADATA,
        codecs=("PCMA", "opus"),
        digits=Digits.KEEP,
        rtp_profile=RtpProfile.AVPF,
        keying=Keying.DTLS,
        suites=("AEAD_AES_256_GCM",),
        keys_in_clear=True,
        on_secure_call=OnSecureCall.REFUSE,
        answer_s=1,
        total_s=2,
        required=True,
        end_call_s=3,
        options_s=0,
        failures=4,
        early_media=True,
        hold=OnHold.INACTIVE,
        metadata_by=MetadataBy.UPDATE,
        session_expires_s=90,
    )


@pytest.mark.parametrize(
    ("text", "srs"),
    [
        ("sip:h", Srs(uri="sip:h")),
        ("sip:a,b@h,weight=7", Srs(uri="sip:a,b@h", weight=7)),
        ("sip:h;secure=true&edge=x,priority=0", Srs(uri="sip:h;secure=true&edge=x", priority=0)),
    ],
)
def test_parse_srs_reads_the_numbers_behind_the_uri(text: str, srs: Srs) -> None:
    assert parse_srs(text) == srs


@pytest.mark.parametrize(
    "text",
    [
        "sip:h,",
        "sip:h,prio=1",
        "sip:h,weight=1,weight=1",
        "sip:h,weight=x",
        "sip:h,weight=-1",
        "sip:h,weight=1e3",
        "sip:h,weight=1234567890",
        "sip:h,weight=³",
    ],
)
def test_parse_srs_of_anything_else_names_the_part(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"^'"):
        parse_srs(text)


@pytest.mark.parametrize("words", [["--header", "X-Site"], ["--answer-s", "x"], ["--digits", "x"]])
def test_option_that_cannot_be_read_is_wrong_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        given("--srs", "sip:a", *words)
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_secrets_not_given_again_are_kept_and_the_rest_is_not() -> None:
    again = given("--srs", "sip:b", "--srs", "sip:c", before=replace(STORED, digest_password=""))
    assert again.connector == Connector(
        account_sid=ACCOUNT,
        name="main",
        srs=(Srs(uri="sip:b"), Srs(uri="sip:c")),
        credential_header="X-Key",
        credential_value="v1",
        digest_user="u",
        tls_certificate="cert",
        tls_key="key",
    )
    assert again.kept == (
        "credential_header",
        "credential_value",
        "digest_user",
        "tls_certificate",
        "tls_key",
    )
    assert again.still_drained == ()


def test_secret_given_again_replaces_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"p2\n")))
    again = given("--srs", "sip:a", "--digest-password-file", "-", before=STORED)
    assert (again.connector.digest_user, again.connector.digest_password) == ("u", "p2")
    assert "digest_password" not in again.kept


def test_no_credentials_forgets_what_was_stored() -> None:
    again = given("--srs", "sip:b", "--no-credentials", before=STORED)
    assert again.connector == Connector(account_sid=ACCOUNT, name="main", srs=(Srs(uri="sip:b"),))
    assert again.kept == ()


def test_recorder_that_was_drained_stays_so() -> None:
    again = given("--srs", "sip:a,weight=2", "--srs", "sip:c", before=STORED)
    assert again.connector.srs == (Srs(uri="sip:a", weight=2, drained=True), Srs(uri="sip:c"))
    assert again.still_drained == ("sip:a",)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"secret\xff", "is not text"),
        (b"secret" * MAX_FILE_BYTES, "is over 65536 bytes"),
        (None, "No such file"),
    ],
)
def test_file_that_cannot_be_used_is_named_with_its_option(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Refused, match=f"^--credential-file: {file}: {why}") as caught:
        given("--srs", "sip:a", "--credential-file", str(file))
    assert "secret" not in str(caught.value)


def test_standard_input_is_read_for_one_option_only() -> None:
    with pytest.raises(Refused, match="one option only"):
        given("--srs", "sip:a", "--credential-file", "-", "--tls-key", "-")
