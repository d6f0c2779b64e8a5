"""Where the files are that the stack is started from."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from siprec_control.errors import StartError


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of the project, below `home`, and the interpreter's virtual environment."""

    home: Path
    venv: Path

    @property
    def kamailio_cfg(self) -> Path:
        """Give the configuration that both roles share."""
        return self.home / "kamailio.cfg"

    @property
    def kamailio_tls_cfg(self) -> Path:
        """Give the configuration of the TLS proxies."""
        return self.home / "kamailio-tls.cfg"

    @property
    def kemi(self) -> Path:
        """Give the folder of the scripts that run inside Kamailio."""
        return self.home / "kemi"

    @property
    def rtpengine_conf(self) -> Path:
        """Give the configuration of the embedded rtpengine."""
        return self.home / "rtpengine" / "rtpengine.conf"


def find_layout() -> Layout:
    """Find the project's files: below $SIPREC_HOME, else in the checkout this package is in.

    Raises:
        StartError: kamailio.cfg is not there.
    """
    named = os.environ.get("SIPREC_HOME")
    home = Path(named).resolve() if named else Path(__file__).resolve().parents[2]
    layout = Layout(home=home, venv=Path(sys.prefix))
    if not layout.kamailio_cfg.is_file():
        raise StartError(f"no kamailio.cfg in {home} (SIPREC_HOME names the project's folder)")
    return layout
