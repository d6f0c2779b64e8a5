"""tls.cfg of the TLS proxies, with the PEM files that it names (docs/tls.md)."""

import ssl
from collections.abc import Iterable
from pathlib import Path

from siprec.connector import TlsVersion
from siprec.settings import TlsSettings
from siprec.tls_profile import TlsProfile
from siprec_control.state import write_private

SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")

# Toward recorders, and for calls: who connects to them is checked differently.
RECORDERS = "recorders.cfg"
CALLS = "calls.cfg"
LOADED = "loaded"

# tls.so 5.6 knows no method of TLS 1.3 alone. A client without a pre-shared key does not offer
# this cipher of TLS 1.2, and so none: it offers those of TLS 1.3, which are not in this list.
_CIPHERS = {TlsVersion.V1_2: [], TlsVersion.V1_3: ["cipher_list = PSK-AES256-GCM-SHA384"]}
_METHOD = "TLSv1.2+"
_PEM = ".pem"


def write_configs(folder: Path, tls: TlsSettings, profiles: Iterable[TlsProfile]) -> None:
    """Write both files, each in one step, and before them the PEM files that they name.

    Profiles are named by their content, so a PEM file that is there stays as it is.

    Raises:
        StateError: the folder cannot be written to.
    """
    sections = [_section("client:default", verify=True)]
    for profile in profiles:
        sections.append(_client(folder, profile))
    ours = [f"certificate = {tls.certificate}", f"private_key = {tls.private_key}"]
    server = _section("server:default", *ours, verify=False)
    write_private(folder / RECORDERS, "\n".join([server, *sections]))
    if tls.client_ca is not None:
        ours.append(f"ca_list = {tls.client_ca}")
    verify = tls.client_ca is not None
    server = _section("server:default", *ours, verify=verify)
    write_private(folder / CALLS, "\n".join([server, sections[0]]))


def remove_unused(folder: Path, profiles: Iterable[TlsProfile]) -> None:
    """Remove the PEM files of profiles that no proxy needs any more."""
    names = {profile.name for profile in profiles}
    for path in folder.glob(f"*{_PEM}"):
        if path.name.split(".")[0] not in names:
            path.unlink(missing_ok=True)


def fault(folder: Path, profile: TlsProfile) -> str | None:
    """Say why OpenSSL does not take the PEM of a profile, None when it does.

    One that it does not take would keep a TLS proxy from loading all the others.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if profile.ca:
            context.load_verify_locations(cadata=profile.ca)
        if profile.certificate:
            certificate, key = _client_files(folder, profile)
            context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _client(folder: Path, profile: TlsProfile) -> str:
    # Both must be the same, and no host name: 5.6 finds a profile by either.
    lines = [f"server_name = {profile.name}", f"server_id = {profile.name}"]
    lines += _CIPHERS[profile.version]
    ca = SYSTEM_CA
    if profile.ca:
        ca = _pem_file(folder, f"{profile.name}.ca", profile.ca)
    lines.append(f"ca_list = {ca}")
    if profile.certificate:
        certificate, key = _client_files(folder, profile)
        lines += [f"certificate = {certificate}", f"private_key = {key}"]
    return _section("client:any", *lines, verify=True)


def _client_files(folder: Path, profile: TlsProfile) -> tuple[Path, Path]:
    certificate = _pem_file(folder, f"{profile.name}.certificate", profile.certificate)
    return certificate, _pem_file(folder, f"{profile.name}.key", profile.key)


def _pem_file(folder: Path, stem: str, pem: str) -> Path:
    path = folder / f"{stem}{_PEM}"
    if not path.exists():
        write_private(path, pem)
    return path


def _section(name: str, *lines: str, verify: bool) -> str:
    # What a section leaves out is not inherited: without these lines anybody is trusted.
    word = "yes" if verify else "no"
    checks = (f"verify_certificate = {word}", f"require_certificate = {word}")
    return "\n".join((f"[{name}]", f"method = {_METHOD}", *checks, *lines, ""))
