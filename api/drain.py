"""A server that ends: what is under way is finished, what is new is refused, and nobody holds it up.

The same clock bounds clients who hold something up at any time: a body that doesn't come on, an answer that
isn't read.
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

# Those who watch the server are answered while it drains, and hold nothing up.
WATCHERS = ("/livez", "/readyz", "/health", "/metrics")
STALLED_SECONDS, STALLED_WHILE_DRAINING = 60.0, 5.0
# A body must come on at this rate on the whole; a telephone's upload is faster.
BODY_SECONDS, BODY_BYTES_PER_SECOND = 30.0, 4_096
SENT_AT_ONCE = 65_536  # bytes that must be read within STALLED_SECONDS
HANG_UP = {"connection": "close"}


class Drain:
    """Whether the server is ending, and how many requests it still answers. For the event loop's thread.

    over: the time of the drain is over, too: whatever is under way breaks off.
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
        """Wait so long at most, None for ever; whether the server is ending now."""
        try:
            await asyncio.wait_for(self._begun.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def bounded(self, work: Awaitable[T], seconds: float) -> T:
        """Wait for work of a client's; TimeoutError after so long, or 5 s after the server began to end."""
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
    """Count the requests under way; once the server ends, refuse new ones with 503 and Retry-After.

    A WebSocket is under way as long as it is open: whoever serves one closes it when the server ends.
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
    """Send an answer after which the connection ends."""

    async def send_and_hang_up(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HANG_UP)
        await send(message)

    return send_and_hang_up


class Stalled(Exception):
    """The client reads no more of its answer."""

    code = "client_stalled"


class Deadlines:
    """Give up on a body that doesn't come on (408), and on a client that doesn't read what it is sent.

    How long a WebSocket may be silent is for its route to say.
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
            log.info("a client reads its answer no further; it is hung up")


class _Body:
    """The body of one request, on its way."""

    def __init__(self, receive: Receive, drain: Drain) -> None:
        self._receive, self._drain = receive, drain
        self._begun, self._bytes, self._whole = time.monotonic(), 0, False

    async def receive(self) -> Message:
        """The next message. HTTPException: 408 for a body that is late, 503 while the server ends."""
        if self._whole:
            return await self._receive()
        left = BODY_SECONDS + self._bytes / BODY_BYTES_PER_SECOND - (time.monotonic() - self._begun)
        try:
            message = await self._drain.bounded(self._receive(), max(left, 0.0))
        except TimeoutError:
            if self._drain.begun:
                told = ShuttingDown()
                headers = {"retry-after": str(told.retry_after)} | HANG_UP
                raise HTTPException(told.status, told.message, headers) from None
            late = "The body of the request came too slowly, or not whole."
            raise HTTPException(408, late, HANG_UP) from None
        self._bytes += len(message.get("body", b""))
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
