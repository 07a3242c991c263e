"""Redis for state that several servers share for a while: rate limit counters and earlier answers.

A single server needs none, and keeps both in memory.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from errors import RedisUnavailable, StartError

log = logging.getLogger(__name__)

T = TypeVar("T")

TIMEOUT_SECONDS = 1.0  # for connecting, and for each answer
AWAY_SECONDS = 2.0  # after a failure, Redis isn't asked for this long, so that requests don't wait for it


class SharedRedis:
    """A Redis client. Thread-safe; it blocks, so don't use it in the event loop.

    Args:
        url: redis://, rediss:// or unix://, optionally with a password.
        on_failure: called for each failed or skipped call.
    """

    def __init__(self, url: str, on_failure: Callable[[], None]) -> None:
        # One immediate retry, since Redis closes idle connections.
        self.client: Any = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
        self._shown = urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()
        self._on_failure = on_failure
        self._away_until = 0.0

    def ask(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, which uses the client. Raises RedisUnavailable."""
        if time.monotonic() < self._away_until:
            self._on_failure()
            raise RedisUnavailable()
        try:
            return work()
        except RedisError as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            self._on_failure()
            log.warning("Redis is unavailable: %s", " ".join(str(error).split()))
            raise RedisUnavailable() from error

    def check(self) -> None:
        """Raise StartError if Redis doesn't answer."""
        try:
            self.client.ping()
        except RedisError as error:
            remedy = "Check HIGGS_REDIS_URL, and that Redis runs; a server alone needs none."
            raise StartError(f"Redis at {self._shown} can't be reached: {error}. {remedy}") from error

    def close(self) -> None:
        self.client.close()
