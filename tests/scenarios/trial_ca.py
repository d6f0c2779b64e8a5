"""Certificates of `siprec-srs make-ca`, and the switches and options that use them."""

import subprocess
import sys
from pathlib import Path


class TrialCa:
    """A CA in a folder, with a server's and a client's certificate, and bad ones of each."""

    def __init__(self, folder: Path, *switches: str) -> None:
        self.folder = folder
        program = str(Path(sys.executable).with_name("siprec-srs"))
        command = [program, "make-ca", str(folder), "--bad", *switches]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=True, capture_output=True)

    def file(self, name: str) -> str:
        """Give a certificate, or a key: `ca.pem`, `client.key`."""
        path = self.folder / name
        assert path.exists()
        return str(path)

    def listen(self, name: str = "server") -> list[str]:
        """Give the switches of an SRS that shows one of the certificates."""
        files = ["--tls-cert", self.file(f"{name}.pem"), "--tls-key", self.file(f"{name}.key")]
        return ["--tls-listen", "127.0.0.1:0", *files]

    def trust(self) -> list[str]:
        """Give the options of a connector whose recorders have certificates of this CA."""
        return ["--tls-ca", self.file("ca.pem")]

    def login(self, name: str = "client") -> list[str]:
        """Give the options of a connector that shows a client certificate."""
        files = [self.file(f"{name}.pem"), self.file(f"{name}.key")]
        return ["--tls-certificate", files[0], "--tls-key", files[1]]
