"""The certificate that callers of the API see, taken anew when its files have changed."""

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from siprec.settings import ControlSettings
from siprec_control.errors import StartError

LOOK_S = 1.0
# What a file is asked instead of reading it.
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files of a certificate, with those between it and its authority, and of its key."""

    certificate: str
    key: str

    def check(self) -> None:
        """See that they can be used, and belong together.

        Raises:
            StartError: they do not; names the files.
        """
        self.load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def load(self, context: ssl.SSLContext) -> None:
        """Let a context show the certificate, to whoever connects from now on.

        Raises:
            StartError: the files cannot be used; the context may not be usable either.
        """
        try:
            # A key with a passphrase is an error, and no question at the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise StartError(
                f"[control] tls_cert {self.certificate}, tls_key {self.key}: {reason}"
            ) from error

    def stamps(self) -> tuple[_Stamp, ...]:
        """Give what differs when a file has changed; empty while one is not there."""
        try:
            found = [os.stat(path) for path in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)


def certificate_files(control: ControlSettings) -> CertificateFiles | None:
    """Give the files that the settings name, None when the API speaks HTTP."""
    if control.tls_cert is None or control.tls_key is None:
        return None
    return CertificateFiles(control.tls_cert, control.tls_key)


async def keep_fresh(
    files: CertificateFiles, context: ssl.SSLContext, say: Callable[[str], None]
) -> None:
    """Load the files again whenever they have changed, for ever. Connections that are open go on.

    While they do not belong together, as between the writing of one and of the other, the
    certificate from before stays.
    """
    seen = files.stamps()
    while True:
        await asyncio.sleep(LOOK_S)
        found = files.stamps()
        if not found or found == seen:
            continue
        seen = found
        try:
            files.check()
            files.load(context)
        except StartError as error:
            say(f"ERROR the certificate from before stays: {error}")
        else:
            say(f"took the certificate {files.certificate} anew")
