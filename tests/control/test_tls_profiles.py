"""tls.cfg, and the files that it names."""

import stat
from pathlib import Path

from siprec.connector import TlsVersion
from siprec.settings import TlsSettings
from siprec.tls_profile import TlsProfile
from siprec_control.tls_profiles import (
    CALLS,
    RECORDERS,
    SYSTEM_CA,
    fault,
    remove_unused,
    write_configs,
)
from tests.tls.certificates import Authority

TLS = TlsSettings(certificate="/us.pem", private_key="/us.key")


def profile(name: str = "p1", **more: str) -> TlsProfile:
    return TlsProfile(
        name=name,
        ca=more.get("ca", ""),
        certificate=more.get("certificate", ""),
        key=more.get("key", ""),
        version=TlsVersion(more.get("version", "1.2")),
    )


def sections(path: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for block in path.read_text().split("\n["):
        head, *lines = block.strip("[\n").splitlines()
        pairs = (line.partition(" = ") for line in lines if line)
        values = {key: value for key, _, value in pairs}
        found[values.get("server_id", head.strip("[]"))] = values
    return found


def test_recorders_get_every_profile_whole(tmp_path: Path) -> None:
    mine = profile("p2", ca="CA", certificate="CERT", key="KEY", version="1.3")
    write_configs(tmp_path, TLS, [profile(), mine])
    found = sections(tmp_path / RECORDERS)
    checked = {"verify_certificate": "yes", "require_certificate": "yes"}
    assert found["server:default"] == {
        "method": "TLSv1.2+",
        "verify_certificate": "no",
        "require_certificate": "no",
        "certificate": "/us.pem",
        "private_key": "/us.key",
    }
    assert found["client:default"] == {"method": "TLSv1.2+", **checked}
    assert found["p1"] == {
        "method": "TLSv1.2+",
        **checked,
        "server_name": "p1",
        "server_id": "p1",
        "ca_list": str(SYSTEM_CA),
    }
    assert found["p2"]["cipher_list"] == "PSK-AES256-GCM-SHA384"
    for key, text in (("ca_list", "CA"), ("certificate", "CERT"), ("private_key", "KEY")):
        path = Path(found["p2"][key])
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_callers_need_a_certificate_only_when_there_is_an_authority(tmp_path: Path) -> None:
    write_configs(tmp_path, TLS, [profile()])
    assert sections(tmp_path / CALLS)["server:default"]["verify_certificate"] == "no"
    assert "p1" not in sections(tmp_path / CALLS)
    settings = TlsSettings(certificate="/us.pem", private_key="/us.key", client_ca="/ca.pem")
    write_configs(tmp_path, settings, [])
    server = sections(tmp_path / CALLS)["server:default"]
    assert (server["verify_certificate"], server["require_certificate"]) == ("yes", "yes")
    assert server["ca_list"] == "/ca.pem"
    # Recorders come as they are.
    assert sections(tmp_path / RECORDERS)["server:default"]["verify_certificate"] == "no"


def test_files_that_no_profile_needs_are_removed(tmp_path: Path) -> None:
    write_configs(tmp_path, TLS, [profile("p1", ca="A"), profile("p2", ca="B")])
    remove_unused(tmp_path, [profile("p2")])
    assert [path.name for path in tmp_path.glob("*.pem")] == ["p2.ca.pem"]
    assert (tmp_path / RECORDERS).exists()


def test_fault_names_what_openssl_does_not_take(tmp_path: Path) -> None:
    ca = Authority(tmp_path, "ca")
    us, other = ca.issue("a"), ca.issue("b")
    pem, key = us.certificate.read_text(), us.key.read_text()
    good = profile("p1", ca=ca.certificate.read_text(), certificate=pem, key=key)
    assert fault(tmp_path, good) is None
    assert fault(tmp_path, profile("p2")) is None
    assert fault(tmp_path, profile("p3", ca="nonsense"))
    wrong = profile("p4", certificate=pem, key=other.key.read_text())
    assert "KEY_VALUES_MISMATCH" in str(fault(tmp_path, wrong))
