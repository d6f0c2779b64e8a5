"""What `siprec run` tells the Kamailio processes."""

import gc
import os
from dataclasses import replace
from pathlib import Path

from siprec.record import from_json
from siprec.redis_acl import RedisUser
from siprec.settings import Runtime


def load_runtime(user: RedisUser) -> Runtime:
    """Read the file that `SIPREC_RUNTIME` names; `redis.url` is then that of the role's user.

    Raises:
        KeyError, OSError, RecordError: Kamailio was not started as `siprec run` does it.
    """
    runtime = from_json(Runtime, Path(os.environ["SIPREC_RUNTIME"]).read_text("utf-8"))
    redis = runtime.settings.redis
    own = redis.proxy_url if user is RedisUser.PROXY else redis.controller_url
    redis = replace(redis, url=own or redis.url)
    return replace(runtime, settings=replace(runtime.settings, redis=redis))


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
