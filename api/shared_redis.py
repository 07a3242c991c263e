"""Redis, where several servers keep what they share for a while: counts of rate limits, and earlier answers.

One server alone needs none: it keeps both in its memory.
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
AWAY_SECONDS = 2.0  # after a failure, for which Redis isn't asked again, so that requests don't wait for it


class SharedRedis:
    """A client of the Redis at a URL. Safe to use from several threads; it blocks, so not in the event loop.

    Args:
        url: redis://, rediss:// or unix://, perhaps with a password in it.
        on_failure: Called each time that Redis could not be asked.

    """

    def __init__(self, url: str, on_failure: Callable[[], None]) -> None:
        # A connection that Redis closed while nobody used it is opened anew, once and at once.
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
        """What `work`, which uses the client, returns. RedisUnavailable while Redis is away."""
        if time.monotonic() < self._away_until:
            self._on_failure()
            raise RedisUnavailable()
        try:
            return work()
        except RedisError as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            self._on_failure()
            log.warning("Redis can't be used: %s", " ".join(str(error).split()))
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
