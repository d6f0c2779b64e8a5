"""What `siprec run` tells the Kamailio processes."""

import gc
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


def settle_memory() -> None:
    """Keep the garbage collector off what was loaded; call it last before Kamailio forks.

    What is there now lives as long as the process, and so do the pages that all processes
    share. Little of what a message leaves is cyclic: collecting it may wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
