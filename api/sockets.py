"""WebSockets of JSON messages: how many may be open, and what every one of them is served with."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from fastapi.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from pydantic_core import from_json

from api.request_context import TURN, RequestContext, current_request, request_context
from errors import Overloaded, UnreadableMessage

MAX_MESSAGE_BYTES = 2**24
# Closing codes, as of RFC 6455 and IANA's register.
NORMAL, GOING_AWAY, NOT_TEXT, NOT_JSON, INTERNAL_ERROR, RESTART = 1000, 1001, 1003, 1007, 1011, 1012
KEY_PROTOCOL = "openai-insecure-api-key."  # the subprotocol that brings a browser's key
PROTOCOL = "realtime"
MAX_TURNS = 8  # of one socket at once


class Sockets:
    """How many WebSockets are open. For the event loop's thread.

    most: that may be open; idle_seconds: for which one may be silent, unless it is being spoken to.
    """

    def __init__(self, most: int, idle_seconds: float) -> None:
        self.open, self.most, self.idle_seconds = 0, most, idle_seconds

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count one more. Overloaded where as many are open as may be."""
        if self.open >= self.most:
            message = (
                f"{self.open} WebSockets are open, which is as many as this server keeps; try again later."
            )
            raise Overloaded(message, retry_after=5)
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


class Ending(Protocol):
    """Whether the server ends; see api.drain.Drain."""

    async def begins_within(self, seconds: float | None) -> bool: ...


class Channel:
    """An open WebSocket: the client's messages come in one by one, events go out, turns run beside them.

    A turn is work that takes its time, such as a spoken response. It is logged and counted as a request.
    """

    def __init__(self, socket: WebSocket, ending: Ending, idle_seconds: float) -> None:
        self._socket, self._ending, self._idle_seconds = socket, ending, idle_seconds
        self._turns: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count, self._waiting = 0, False
        self._end: tuple[int, str] | None = None  # how the server ends it; None where the client did

    async def accept(self) -> None:
        """Take the client's handshake, and of the subprotocols it offers one that isn't a key."""
        offered = [name for name in self._socket.scope["subprotocols"] if not name.startswith(KEY_PROTOCOL)]
        await self._socket.accept(PROTOCOL if PROTOCOL in offered else next(iter(offered), None))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """The client's messages, until it leaves, is silent for too long, or the server ends.

        UnreadableMessage for one that is no JSON object. What breaks a turn off is raised here, too.
        """
        ending = asyncio.ensure_future(self._ending.begins_within(None))
        try:
            while (message := await self._next(ending)) is not None:
                yield message
        finally:
            ending.cancel()

    async def _next(self, ending: "asyncio.Future[bool]") -> dict[str, Any] | None:
        receiving = asyncio.ensure_future(self._socket.receive())
        awaited: set[asyncio.Future[Any]] = {receiving, ending, self._broken}
        try:
            while not receiving.done():
                done, _ = await asyncio.wait(
                    awaited, timeout=self._idle_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if self._broken.done():
                    self._broken.result()
                if ending in done:
                    self.end(RESTART, "the server restarts")
                    return None
                if not done and (self._waiting or not self._turns):
                    self.end(GOING_AWAY, "idle for too long")
                    return None
            return _read(receiving.result())
        finally:
            receiving.cancel()

    async def send(self, event: Mapping[str, Any]) -> None:
        """Send an event as JSON. WebSocketDisconnect once the socket is closed."""
        self._check_open()
        await self._socket.send_text(json.dumps(event, separators=(",", ":")))

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. WebSocketDisconnect once the socket is closed."""
        self._check_open()
        await self._socket.send_bytes(data)

    def _check_open(self) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect(NORMAL)

    def end(self, code: int, reason: str = "") -> None:
        """Have `finish` close the socket by this code."""
        self._end = code, reason

    @contextmanager
    def waiting_for_client(self) -> Iterator[None]:
        """While a turn can't go on without another message: the client may be silent for so long only."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    async def finish(self) -> None:
        """Behind the last message: turns that run are finished, unless the client is gone; then it closes."""
        if self._end is not None:
            while self._turns and not self._broken.done():
                await asyncio.wait({*self._turns, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            await self.close(*self._end)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the socket, if the client hasn't."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect):
                await self._socket.close(code, reason)

    def begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a turn beside the messages. Overloaded where MAX_TURNS run already."""
        if len(self._turns) >= MAX_TURNS:
            work.close()
            raise Overloaded(f"{MAX_TURNS} responses are under way on this connection; wait for one to end.")
        turn = asyncio.ensure_future(self._noted(work))
        self._turns.add(turn)
        turn.add_done_callback(self._ended)
        return turn

    def _ended(self, turn: "asyncio.Task[None]") -> None:
        self._turns.discard(turn)
        error = None if turn.cancelled() else turn.exception()
        if error is not None and not isinstance(error, WebSocketDisconnect) and not self._broken.done():
            self._broken.set_exception(error)

    async def _noted(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work of a turn under a record of its own."""
        self._count += 1
        around = current_request()
        id = f"{around.id if around else 'turn'}.{self._count}"
        record = RequestContext(id, TURN, self._socket.scope["route"].path, status=200)
        with request_context(record):
            try:
                await work
                record.whole = True
            finally:
                record.seconds = record.elapsed()
                if observe := getattr(self._socket.state, "observe", None):
                    observe(record)

    async def end_turns(self) -> None:
        """Call off what runs, and wait for its end."""
        for turn in self._turns:
            turn.cancel()
        await asyncio.gather(*self._turns, return_exceptions=True)
        if self._broken.done():
            self._broken.exception()  # asyncio would complain of one that nobody read
        self._broken.cancel()


def _read(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """The object in a message; None where the client left."""
    if message["type"] == "websocket.disconnect":
        return None
    if message.get("text") is None:
        raise UnreadableMessage("Messages are text, not binary; sound goes in base64.", close_code=NOT_TEXT)
    try:
        found = from_json(message["text"], allow_inf_nan=False)
    except ValueError as error:
        raise UnreadableMessage(f"The message is not valid JSON: {error}.", close_code=NOT_JSON) from None
    if not isinstance(found, dict):
        raise UnreadableMessage("A message is a JSON object with a `type`.", close_code=NOT_JSON)
    return found
