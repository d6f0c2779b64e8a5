"""What `siprec run` tells the Kamailio processes."""

import os
from pathlib import Path

from siprec.record import from_json
from siprec.settings import Runtime


def load_runtime() -> Runtime:
    """Read the file that `SIPREC_RUNTIME` names.

    Raises:
        KeyError, OSError, RecordError: Kamailio was not started as `siprec run` does it.
    """
    return from_json(Runtime, Path(os.environ["SIPREC_RUNTIME"]).read_text("utf-8"))


def boot_id() -> str:
    """Name this life of this Kamailio: another one after each restart."""
    return os.environ["SIPREC_BOOT"]
