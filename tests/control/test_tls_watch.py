"""What feeds the TLS proxies, with TLS proxies that the test plays."""

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from siprec.connector import Connector, Srs, TlsVersion
from siprec.settings import TlsSettings
from siprec.tls_profile import tls_profile
from siprec_control import tls_watch
from siprec_control.errors import StateError
from siprec_control.tls_profiles import LOADED, RECORDERS
from siprec_control.tls_watch import Feeder, profiles_of
from tests.tls.certificates import Authority


class Proxy:
    """Answers every reload with `status`, and notes what tls.cfg was then, and what is gone."""

    def __init__(self, config: Path) -> None:
        self.status = "200 OK"
        self.configs: list[str] = []
        self.gone: list[str] = []
        self._config = config
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.inside = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            request, source = self._socket.recvfrom(65535)
            if not request:
                return
            user = request.decode().partition("@")[0].removeprefix("OPTIONS sip:")
            if user.startswith("gone-"):
                self.gone.append(user.removeprefix("gone-"))
            else:
                assert user == "reload"
                self.configs.append(self._config.read_text())
            self._socket.sendto(f"SIP/2.0 {self.status}\r\n\r\n".encode(), source)

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "us.pem").write_text("us")
    return tmp_path / "folder"


@pytest.fixture
def proxy(folder: Path) -> Iterator[Proxy]:
    proxy = Proxy(folder / RECORDERS)
    yield proxy
    proxy.close()


@pytest.fixture
def feeder(folder: Path, proxy: Proxy) -> Feeder:
    us = str(folder.parent / "us.pem")
    return Feeder(folder, TlsSettings(certificate=us, private_key=us), [proxy.inside])


def connector(name: str = "A", *uris: str, ca: str = "", key: str = "") -> Connector:
    srs = tuple(Srs(uri=uri) for uri in uris or ("sip:srs.example.com;transport=tls",))
    return Connector(
        account_sid="AC", name=name, srs=srs, tls_ca=ca, tls_key=key, tls_certificate=key
    )


def loaded(folder: Path) -> list[str]:
    return (folder / LOADED).read_text().split()


def test_profiles_are_those_of_recorders_over_tls_each_once() -> None:
    mixed = connector("M", "sip:a;transport=udp", "sip:b;secure=true", ca="x")
    plain, broken = connector("P", "sip:a", ca="y"), connector("B", "nonsense", ca="z")
    found = profiles_of([connector("A"), connector("B"), mixed, plain, broken])
    assert {profile.ca for profile in found} == {"", "x"}
    assert len(found) == 2


def test_turn_writes_then_reloads_then_announces(
    feeder: Feeder, proxy: Proxy, folder: Path
) -> None:
    feeder.turn([connector()])
    name = tls_profile(connector()).name
    assert loaded(folder) == [name]
    assert [f"server_id = {name}" in config for config in proxy.configs] == [True]


def test_profile_that_was_changed_is_told_to_be_gone_after_the_reload(
    feeder: Feeder, proxy: Proxy
) -> None:
    feeder.turn([connector()])
    assert proxy.gone == []
    authority = connector(ca="")
    feeder.turn([replace(authority, tls_version=TlsVersion.V1_3)])
    feeder.turn([replace(authority, tls_version=TlsVersion.V1_3)])
    assert proxy.gone == [tls_profile(authority).name]
    assert len(proxy.configs) == 2


def test_turn_without_change_reloads_nothing(feeder: Feeder, proxy: Proxy) -> None:
    for name in "ABC":
        feeder.turn([connector(name)])
    assert len(proxy.configs) == 1


def test_turn_with_a_renewed_certificate_of_ours_reloads(
    feeder: Feeder, proxy: Proxy, folder: Path
) -> None:
    feeder.turn([])
    (folder.parent / "us.pem").write_text("renewed")
    feeder.turn([])
    assert len(proxy.configs) == 2


def test_turn_after_the_folder_was_emptied_writes_all_again(
    feeder: Feeder, proxy: Proxy, folder: Path
) -> None:
    feeder.turn([connector()])
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    feeder.turn([connector()])
    assert len(loaded(folder)) == 1
    assert folder.stat().st_mode & 0o777 == 0o700


def test_proxy_that_refuses_is_asked_again_and_named_once(
    feeder: Feeder,
    proxy: Proxy,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy.status = "500 Profiles Not Loaded"
    feeder.turn([connector()])
    feeder.turn([connector()])
    assert len(proxy.configs) == 1
    monkeypatch.setattr(tls_watch, "RETRY_S", 0.0)
    feeder.turn([connector("B", ca="new")])
    feeder.turn([connector("B", ca="new")])
    assert len(proxy.configs) == 3
    assert not (folder / LOADED).exists()
    assert capsys.readouterr().out.count("keeps its old profiles") == 2
    proxy.status = "200 OK"
    feeder.turn([connector("B", ca="new")])
    assert loaded(folder) == []


def test_proxy_that_is_away_holds_up_the_others_for_a_while_only(
    proxy: Proxy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{nobody.getsockname()[1]}"
    feeder = Feeder(folder, TlsSettings(), [away, proxy.inside])
    feeder.turn([connector()])
    assert len(proxy.configs) == 1
    assert not (folder / LOADED).exists()
    monkeypatch.setattr(tls_watch, "PATIENCE_S", 0.0)
    feeder.turn([connector()])
    assert len(loaded(folder)) == 1
    # It is asked until it has come back, the others are not.
    assert len(proxy.configs) == 1


def test_profile_that_openssl_does_not_take_is_left_out_and_named(
    feeder: Feeder, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = connector("G", ca=Authority(tmp_path, "ca").certificate.read_text())
    bad = connector("B", key="-----BEGIN nothing-----")
    for _ in range(2):
        feeder.turn([good, bad])
    assert loaded(folder) == [tls_profile(good).name]
    assert tls_profile(bad).name not in (folder / RECORDERS).read_text()
    said = capsys.readouterr().out
    assert said.count(f"ERROR: profile {tls_profile(bad).name} of a connector is left out") == 1
    assert not list(folder.glob(f"{tls_profile(bad).name}*"))


def test_folder_that_cannot_be_made_is_an_error_of_ours(proxy: Proxy, tmp_path: Path) -> None:
    feeder = Feeder(tmp_path / "no" / "folder", TlsSettings(), [proxy.inside])
    with pytest.raises(StateError, match=os.fspath(tmp_path)):
        feeder.turn([])
