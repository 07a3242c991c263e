"""Graceful shutdown: finish running requests, refuse new ones, and time out slow clients.

Slow clients are also limited at any other time: a request body that stalls, a response that isn't read.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import TypeVar

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import refusal
from errors import ShuttingDown

log = logging.getLogger(__name__)
T = TypeVar("T")

# Monitoring is answered while draining, and doesn't delay the shutdown.
WATCHERS = ("/livez", "/readyz", "/health", "/metrics")
STALLED_SECONDS, STALLED_WHILE_DRAINING = 60.0, 5.0
# Minimum rate of a request body, over any 30 s; mobile uploads are faster. And its maximum time in all.
BODY_SECONDS, BODY_BYTES_PER_SECOND, MAX_BODY_SECONDS = 30.0, 4_096, 1_200.0
SENT_AT_ONCE = 65_536  # bytes that the client must read within STALLED_SECONDS
HANG_UP = {"connection": "close"}


class Drain:
    """State of the shutdown, and the number of running requests. For the event loop's thread only.

    Attributes:
        active: number of running requests.
        over: the drain's time is up, and remaining requests are aborted.
    """

    def __init__(self) -> None:
        self.active = 0
        self.over = False
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def begin(self) -> None:
        self._begun.set()

    async def begins_within(self, seconds: float | None) -> bool:
        """Wait up to `seconds` (None: forever); return whether the server is shutting down."""
        try:
            await asyncio.wait_for(self._begun.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def bounded(self, work: Awaitable[T], seconds: float) -> T:
        """Wait for a client. Raises TimeoutError after `seconds`, or 5 s after shutdown began."""
        working = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self._begun.wait())
        try:
            await asyncio.wait({working, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self.begun and not working.done():
                await asyncio.wait({working}, timeout=min(seconds, STALLED_WHILE_DRAINING))
            if not working.done():
                raise TimeoutError
            return await working
        finally:
            ending.cancel()
            working.cancel()


class DrainGate:
    """Count running requests; during shutdown, refuse new ones with 503 and Retry-After.

    A WebSocket counts while it is open; its handler closes it on shutdown.
    """

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self.app, self._drain = app, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in WATCHERS:
            return await self.app(scope, receive, send)
        if self._drain.begun:
            return await refusal(ShuttingDown())(scope, receive, hanging_up(send))
        self._drain.active += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._drain.active -= 1


def hanging_up(send: Send) -> Send:
    """Wrap `send` so that the connection is closed after the response."""

    async def send_and_hang_up(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HANG_UP)
        await send(message)

    return send_and_hang_up


class Stalled(Exception):
    """The client stopped reading its response."""

    code = "client_stalled"


class Deadlines:
    """Time out a request body that stalls (408), and a client that doesn't read its response.

    The idle time of a WebSocket is limited by its route.
    """

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self.app, self._drain = app, drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if scope["type"] == "http":
            receive = _Body(receive, self._drain).receive

        async def send_in_time(message: Message) -> None:
            for part in _parts(message):
                try:
                    await self._drain.bounded(send(part), STALLED_SECONDS)
                except TimeoutError:
                    raise Stalled from None

        try:
            await self.app(scope, receive, send_in_time)
        except Stalled:
            log.info("closed the connection of a client that stopped reading")


class _Body:
    """The body of one request, with its deadlines; only the time that the server waits for it counts.

    What comes faster than it must earns time, but no more than BODY_SECONDS: otherwise a client that sends
    most of a large body at once could let the server hold it for hours.
    """

    def __init__(self, receive: Receive, drain: Drain) -> None:
        self._receive, self._drain = receive, drain
        self._left, self._left_in_all, self._whole = BODY_SECONDS, MAX_BODY_SECONDS, False

    async def receive(self) -> Message:
        """Return the next message. Raises HTTPException: 408 if it is late, 503 during shutdown."""
        if self._whole:
            return await self._receive()
        begun, left = time.monotonic(), max(min(self._left, self._left_in_all), 0.0)
        try:
            message = await self._drain.bounded(self._receive(), left)
        except TimeoutError:
            if self._drain.begun:
                stopping = ShuttingDown()
                headers = {"retry-after": str(stopping.retry_after)} | HANG_UP
                raise HTTPException(stopping.status, stopping.message, headers) from None
            late = "The request body arrived too slowly or incompletely."
            raise HTTPException(408, late, HANG_UP) from None
        waited = time.monotonic() - begun
        earned = len(message.get("body", b"")) / BODY_BYTES_PER_SECOND
        self._left = min(self._left - waited + earned, BODY_SECONDS)
        self._left_in_all -= waited
        self._whole = not message.get("more_body", False)
        return message


def _parts(message: Message) -> list[Message]:
    """A large piece of an answer in pieces that even a slow client reads in time."""
    body = message.get("body", b"")
    if message["type"] != "http.response.body" or len(body) <= SENT_AT_ONCE:
        return [message]
    starts, view = range(0, len(body), SENT_AT_ONCE), memoryview(body)
    parts: list[Message] = [
        {"type": "http.response.body", "body": bytes(view[start : start + SENT_AT_ONCE]), "more_body": True}
        for start in starts
    ]
    parts[-1]["more_body"] = message.get("more_body", False)
    return parts
