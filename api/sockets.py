"""WebSockets of JSON messages: their number, and what each of them needs."""

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
# Close codes of RFC 6455 and IANA's registry.
NORMAL, GOING_AWAY, NOT_TEXT, NOT_JSON, INTERNAL_ERROR, RESTART = 1000, 1001, 1003, 1007, 1011, 1012
KEY_PROTOCOL = "openai-insecure-api-key."  # prefix of the subprotocol that carries a browser's key
PROTOCOL = "realtime"
MAX_TURNS = 8  # concurrent turns of one socket


class Sockets:
    """The open WebSockets, counted. Only the event loop's thread uses it.

    Attributes:
        open: number of open WebSockets.
        max_open: maximum of `open`.
        idle_seconds: for how long a client may be silent, unless it is being spoken to.
    """

    def __init__(self, max_open: int, idle_seconds: float) -> None:
        self.open, self.max_open, self.idle_seconds = 0, max_open, idle_seconds

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a WebSocket while the block runs. Raises Overloaded if the maximum is reached."""
        if self.open >= self.max_open:
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
    """Whether the server is stopping; see api.drain.Drain."""

    async def begins_within(self, seconds: float | None) -> bool: ...


class Channel:
    """An open WebSocket: messages come in one by one, events go out, and turns run beside them.

    A turn is lengthy work such as a spoken response; it is logged and counted like a request.
    """

    def __init__(self, socket: WebSocket, ending: Ending, idle_seconds: float) -> None:
        self._socket, self._ending, self._idle_seconds = socket, ending, idle_seconds
        self._turns: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count, self._waiting = 0, False
        self._around = current_request()  # the connection's record; a turn may be begun by another turn
        self._end: tuple[int, str] | None = None  # the server's close code; None if the client left

    async def accept(self) -> None:
        """Accept the handshake, with one of the offered subprotocols that isn't a key."""
        offered = [name for name in self._socket.scope["subprotocols"] if not name.startswith(KEY_PROTOCOL)]
        await self._socket.accept(PROTOCOL if PROTOCOL in offered else next(iter(offered), None))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the client's messages until it leaves, is idle for too long, or the server stops.

        Raises:
            UnreadableMessage: a message is not a JSON object.
            Exception: whatever a turn failed with.
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
        """Send an event as JSON. Raises WebSocketDisconnect if the socket is closed."""
        self._check_open()
        await self._socket.send_text(json.dumps(event, separators=(",", ":")))

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. Raises WebSocketDisconnect if the socket is closed."""
        self._check_open()
        await self._socket.send_bytes(data)

    def _check_open(self) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect(NORMAL)

    def end(self, code: int, reason: str = "") -> None:
        """Make `finish` close the socket with this code."""
        self._end = code, reason

    @contextmanager
    def waiting_for_client(self) -> Iterator[None]:
        """Apply the idle limit although a turn is running, since it needs another message."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    async def finish(self) -> None:
        """Wait for running turns, unless the client leaves, then close the socket."""
        if self._end is None:
            return
        leaving = asyncio.ensure_future(self._left())
        try:
            while self._turns and not self._broken.done():
                awaited = {*self._turns, self._broken, leaving}
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    return
        finally:
            leaving.cancel()
        await self.close(*self._end)

    async def _left(self) -> None:
        """Wait until the client has left; what it sends until then is dropped."""
        while self._socket.client_state is WebSocketState.CONNECTED:
            await self._socket.receive()

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close the socket if it is open."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect):
                await self._socket.close(code, reason)

    def begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a turn beside the messages. Raises Overloaded if MAX_TURNS are running."""
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
        """Run a turn with a request record of its own."""
        self._count += 1
        around = self._around
        id = f"{around.id if around else 'turn'}.{self._count}"
        record = RequestContext(id, TURN, self._socket.scope["route"].path, status=200)
        record.consent = around.consent if around else None
        with request_context(record):
            try:
                await work
                record.whole = True
            finally:
                record.seconds = record.elapsed()
                if observe := getattr(self._socket.state, "observe", None):
                    observe(record)

    async def end_turns(self) -> None:
        """Cancel the running turns, and wait for their end."""
        for turn in self._turns:
            turn.cancel()
        await asyncio.gather(*self._turns, return_exceptions=True)
        if self._broken.done():
            self._broken.exception()  # or asyncio would log that nobody retrieved it
        self._broken.cancel()


def _read(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the object in a message; None if the client left."""
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
