"""Rate limits per API key or, without keys, per client address: moving windows in memory or in Redis."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TypedDict, TypeVar

import anyio.to_thread
from limits import RateLimitItem, WindowStats, parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import refusal
from api.middleware.auth import GUARDED
from api.shared_redis import SharedRedis
from errors import RateLimited, RedisUnavailable

T = TypeVar("T")

# The first messages of responses, including those to a WebSocket's handshake.
ANSWERS = ("http.response.start", "websocket.http.response.start", "websocket.accept")


def limits_of(setting: str | None) -> list[RateLimitItem]:
    """Parse HIGGS_RATE_LIMIT, such as 60/minute."""
    return parse_many(setting) if setting else []


class LimitLeft(TypedDict):
    """A rate limit: its maximum, what is left of it, and the seconds until all of it is there again."""

    limit: int
    remaining: int
    reset_seconds: float


class RateLimits:
    """Refuse requests beyond a limit before their body is read; report the remaining requests.

    The headers are OpenAI's. Must be inside ApiKeys, which sets the owner; requests without one count for
    their address. A request with several items, such as a batch, is charged for them once they are known: see
    `charge`.

    Args:
        app: the app to limit.
        limits: the limits.
        redis: shared counters of several servers. While it is unavailable, nothing is limited and no headers
            are sent. None counts in this process.
    """

    def __init__(
        self, app: ASGIApp, limits: Sequence[RateLimitItem], redis: SharedRedis | None = None
    ) -> None:
        self.app = app
        self._limits, self._redis = sorted(limits, key=lambda limit: limit.get_expiry()), redis
        storage = MemoryStorage() if redis is None else _storage(redis)
        self._limiter = MovingWindowRateLimiter(storage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            not self._limits
            or scope["type"] not in ("http", "websocket")
            or not scope["path"].startswith(GUARDED)
        ):
            return await self.app(scope, receive, send)
        asker = scope["state"]["owner"] or _address(scope)
        scope["state"]["charge"] = partial(self._charge, asker)
        scope["state"]["limit_left"] = partial(self._counted, partial(self._tightest, asker))
        app: ASGIApp = self.app
        try:
            await self._charge(asker, 1)
        except RateLimited as error:
            app = refusal(error)

        async def send_with_limit(message: Message) -> None:
            if message["type"] in ANSWERS:
                message.setdefault("headers", [])
                headers = await self._counted(partial(self._headers, asker))
                MutableHeaders(scope=message).update(headers or {})
            await send(message)

        await app(scope, receive, send_with_limit)

    async def _charge(self, asker: str, requests: int, held: int = 1) -> None:
        """Count requests; `held` is how many came as one. Raises RateLimited beyond a limit."""
        await self._counted(partial(self._hit, asker, requests, held))

    async def _counted(self, work: Callable[[], T]) -> T | None:
        """Return the result of `work`, which reads the counters; None while Redis is unavailable."""
        if self._redis is None:
            return work()
        try:
            return await anyio.to_thread.run_sync(self._redis.ask, work)
        except RedisUnavailable:
            return None

    def _hit(self, asker: str, requests: int, held: int) -> None:
        """Count requests for all limits, or for none if one is exceeded: what is refused uses up nothing.

        The longest is tested first, since its wait is the one to tell. The shortest is counted first: if
        another server took its rest after the test, nothing else is used up.
        """
        for limit in reversed(self._limits[1:]):
            if not self._limiter.test(limit, asker, cost=requests):
                raise self._exceeded(limit, asker, held)
        for limit in self._limits:
            if not self._limiter.hit(limit, asker, cost=requests):
                raise self._exceeded(limit, asker, held)

    def _exceeded(self, limit: RateLimitItem, asker: str, held: int) -> RateLimited:
        wait = max(math.ceil(self._left(limit, asker).reset_time - time.time()), 1)
        message = f"The rate limit of {limit} is exceeded; try again in {wait} s."
        if held > 1:
            message += f" Each of the {held} items in this request counts; the maximum is {limit.amount}."
        return RateLimited(message, retry_after=wait)

    def _headers(self, asker: str) -> dict[str, str]:
        left = self._tightest(asker)
        return {
            "x-ratelimit-limit-requests": str(left["limit"]),
            "x-ratelimit-remaining-requests": str(left["remaining"]),
            "x-ratelimit-reset-requests": _duration(left["reset_seconds"]),
        }

    def _tightest(self, asker: str) -> LimitLeft:
        """Return what is left of the limit with the fewest remaining requests."""
        tightest = min(self._limits, key=lambda limit: self._left(limit, asker).remaining)
        left = self._left(tightest, asker)
        seconds = round(max(left.reset_time - time.time(), 0.0), 3)
        return {"limit": tightest.amount, "remaining": left.remaining, "reset_seconds": seconds}

    def _left(self, limit: RateLimitItem, asker: str) -> WindowStats:
        return self._limiter.get_window_stats(limit, asker)


async def charge(request: HTTPConnection, held: int) -> None:
    """Count a request as the `held` ones that it contains. Raises RateLimited."""
    count = getattr(request.state, "charge", None)
    if count is not None and held > 1:
        await count(held - 1, held)  # the request itself is already counted


def _storage(redis: SharedRedis) -> RedisStorage:
    return RedisStorage("redis://", redis.client.connection_pool, key_prefix="higgs:limits")


async def charge_turn(socket: HTTPConnection) -> None:
    """Count a turn within a WebSocket as a request. Raises RateLimited."""
    if (count := getattr(socket.state, "charge", None)) is not None:
        await count(1)


async def limit_left(socket: HTTPConnection) -> LimitLeft | None:
    """Return what is left of the tightest rate limit; None where none is set, or Redis is unavailable."""
    ask = getattr(socket.state, "limit_left", None)
    return None if ask is None else await ask()


def _address(scope: Scope) -> str:
    """Return the client's address; for IPv6 its /64 network.

    A server that listens on :: sees IPv4 clients as ::ffff:192.0.2.1, all in one network.
    """
    given = scope["client"][0] if scope.get("client") else ""
    try:
        address = ip_address(given)
    except ValueError:
        return given
    if isinstance(address, IPv4Address):
        return given
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def _duration(seconds: float) -> str:
    """Format seconds as OpenAI does: 350ms, 7s, 1m30s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"
