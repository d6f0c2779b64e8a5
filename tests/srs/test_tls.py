"""SIP over TLS: certificates either way, the floor, requests of the SRS on the same connection."""

import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from siprec_srs.cli import main
from tests.srs.conftest import Srs, StartSrs
from tests.srs.src_client import SrcClient, ports_of

FRAME = bytes([0x10]) * 160


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every certificate that make-ca makes."""
    folder = tmp_path_factory.mktemp("ca")
    assert main(["make-ca", str(folder), "--bad"]) == 0
    return folder


def _switches(made: Path, server: str = "server", *more: str) -> tuple[str, ...]:
    files = "--tls-cert", str(made / f"{server}.pem"), "--tls-key", str(made / f"{server}.key")
    return ("--tls-listen", "127.0.0.1:0", *files, *more)


def _client(made: Path, certificate: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=made / "ca.pem")
    if certificate:
        context.load_cert_chain(made / f"{certificate}.pem", made / f"{certificate}.key")
    return context


def _connect(srs: Srs, context: ssl.SSLContext) -> SrcClient:
    assert srs.tls_address is not None
    return SrcClient(srs.tls_address, tls=context)


def test_session_over_tls_is_recorded_and_told(start_srs: StartSrs, made: Path) -> None:
    srs = start_srs(*_switches(made, "server", "--tls-client-ca", str(made / "ca.pem")))
    with _connect(srs, _client(made, "client")) as src:
        answer = src.establish()
        contact = answer.get("Contact")
        assert contact.startswith(f"<sip:srs@127.0.0.1:{src.srs[1]};transport=tls>")
        src.play(0, ports_of(answer)[0], [FRAME] * 5)
        src.bye()
    summary = srs.ended()
    assert summary["problems"] == []
    assert summary["labels"]["1"]["packets"] == 5
    verified = summary["verified"]
    assert verified.pop("cipher")
    assert verified == {
        "transport": "TLS",
        "tls_version": "TLSv1.3",
        "client_certificate": "organizationName=siprec-srs trial, commonName=siprec-src",
        "authentication": None,
    }


def test_summary_tells_plain_transports(start_srs: StartSrs, made: Path) -> None:
    srs = start_srs(*_switches(made))
    for tcp, name in ((False, "UDP"), (True, "TCP")):
        with SrcClient(srs.address, tcp=tcp) as src:
            src.establish()
            src.bye()
        assert srs.ended()["verified"] == {
            "transport": name,
            "tls_version": None,
            "cipher": None,
            "client_certificate": None,
            "authentication": None,
        }


def test_client_certificate_is_not_asked_for_without_a_ca(start_srs: StartSrs, made: Path) -> None:
    srs = start_srs(*_switches(made))
    with _connect(srs, _client(made)) as src:
        src.establish()
        src.bye()
    assert srs.ended()["verified"]["client_certificate"] is None


@pytest.mark.parametrize("certificate", ["", "client-untrusted", "client-expired"])
def test_client_without_a_good_certificate_gets_nowhere(
    start_srs: StartSrs, made: Path, certificate: str
) -> None:
    srs = start_srs(*_switches(made, "server", "--tls-client-ca", str(made / "ca.pem")))
    # With TLS 1.3 the client hears of it when it reads, if it was not cut off before.
    refused = pytest.raises(OSError, match=r"alert|closed|reset|pipe|EOF")
    with refused, _connect(srs, _client(made, certificate)) as src:
        src.establish()
    assert srs.summaries() == []


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ("server-wrong-host", "IP address mismatch"),
        ("server-untrusted", "unable to get local issuer"),
        ("server-expired", "certificate has expired"),
    ],
)
def test_bad_server_certificates_are_bad(
    start_srs: StartSrs, made: Path, server: str, reason: str
) -> None:
    srs = start_srs(*_switches(made, server))
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        _connect(srs, _client(made))
    assert srs.summaries() == []


def test_tls_before_1_2_is_refused(start_srs: StartSrs, made: Path) -> None:
    srs = start_srs(*_switches(made))
    context = _client(made)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.deprecated_call():
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        _connect(srs, context)
    assert "UNSUPPORTED_PROTOCOL" in srs.stop()[1]


def test_tls_1_2_is_accepted(start_srs: StartSrs, made: Path) -> None:
    srs = start_srs(*_switches(made))
    context = _client(made)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with _connect(srs, context) as src:
        src.establish()
        src.bye()
    assert srs.ended()["verified"]["tls_version"] == "TLSv1.2"


def test_requests_of_the_srs_come_on_the_connection_of_the_src(
    start_srs: StartSrs, made: Path
) -> None:
    srs = start_srs(*_switches(made), "--hang-up-after", "0")
    with _connect(srs, _client(made)) as src:
        src.establish()
        bye = src.request("BYE")
        assert f"SIP/2.0/TLS 127.0.0.1:{src.srs[1]}" in bye.get("Via")
        src.reply(bye, 200)
    summary = srs.ended()
    assert (summary["ended_by"], summary["problems"]) == ("srs-bye", [])


def test_lost_connection_is_opened_anew_and_verified(start_srs: StartSrs, made: Path) -> None:
    more = ("--tls-client-ca", str(made / "ca.pem"), "--hang-up-after", "0.3")
    srs = start_srs(*_switches(made, "server", *more))
    listening = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made / "ca.pem")
    listening.verify_mode = ssl.CERT_REQUIRED
    listening.load_cert_chain(made / "client.pem", made / "client.key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        contact = f"sip:src@127.0.0.1:{server.getsockname()[1]};transport=tls"
        with _connect(srs, _client(made, "client")) as src:
            src.contact_uri = contact
            src.establish()
        # The connection is gone; the SRS must come to where our Contact says.
        plain, _ = server.accept()
        with listening.wrap_socket(plain, server_side=True) as accepted:
            assert accepted.recv(4096).startswith(f"BYE {contact} SIP/2.0".encode())
            assert accepted.getpeercert()


def test_unusable_tls_files_are_an_error(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = ("--out", str(made / "out"), "--listen", "127.0.0.1:0")
    assert main([*out, *_switches(made, "nothing")]) == 1
    assert "cannot use the TLS files" in capfd.readouterr().err
    assert main([*out, "--tls-listen", "127.0.0.1:0"]) == 2
    assert "needs --tls-cert and --tls-key" in capfd.readouterr().err


def test_make_ca_names_hosts_and_keeps_keys_private(tmp_path: Path) -> None:
    folder = tmp_path / "ca"
    command = [sys.executable, "-m", "siprec_srs.cli", "make-ca", str(folder)]
    hosts = ("--host", "srs.example.com", "--host", "192.0.2.1", "--days", "3")
    done = subprocess.run([*command, *hosts], capture_output=True, text=True, check=True)
    assert [Path(line).name for line in done.stdout.split()] == [
        "ca.pem",
        "server.pem",
        "client.pem",
    ]
    text = subprocess.run(
        ["openssl", "x509", "-in", folder / "server.pem", "-noout", "-ext", "subjectAltName"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "DNS:srs.example.com, IP Address:192.0.2.1" in text
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")} == {0o600}
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
