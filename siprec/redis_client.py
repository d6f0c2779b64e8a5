"""The connection to Redis as all of the store opens it, and its errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

Client = Any  # redis-py's own annotations answer sync and async alike


class StoreUnavailable(RuntimeError):
    """Redis cannot be reached or refused. The message says why."""


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn redis-py's errors into ours."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable(f"Redis: {error}") from error


def connect(
    url: str,
    *,
    timeout_s: float = 5.0,
    connect_s: float | None = None,
    encoding_errors: str = "strict",
) -> Client:
    """Open a client without retries.

    `timeout_s` limits the wait for each reply, `connect_s` (`timeout_s` when unset) that for
    a connection. `encoding_errors` says what becomes of replies that are not UTF-8.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        encoding_errors=encoding_errors,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s if connect_s is None else connect_s,
        retry=Retry(NoBackoff(), 0),
    )
