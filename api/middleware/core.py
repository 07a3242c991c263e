"""Middleware for every request: id and record, unexpected errors, body limits."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from api.drain import Stalled
from api.errors import refusal
from api.request_context import WEBSOCKET, RequestContext, note_error, request_context
from api.sockets import INTERNAL_ERROR, MAX_MESSAGE_BYTES

CHEAP = ("/", "/health", "/livez", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json")
CHEAP_BELOW = ("/web/", "/v1/models")
# Routes whose JSON may contain recordings; elsewhere it is short.
BOOKS = "/v1/audio/speech/jobs"
RECORDINGS_IN_JSON = ("/v1/chat/completions", "/v1/audio/speech", "/v1/audio/speech/batch", BOOKS)
# What all bodies that are being read may hold, in multiples of the largest one: 600 MiB with the defaults.
BODIES_AT_ONCE = 8
SMALL_BODY = 2**20  # longer than any text with a short recording
MAX_VALUES = 50_000  # of a body in JSON; parsed in some 30 ms
MAX_MARKS = 300_000  # of a book's body, whose commas are those of its text
BROKEN_OFF, TOO_LARGE = 1006, 1009  # closing codes of WebSockets, as of RFC 6455
VALUE_MARKS = (b",", b"[", b"{")
FIRST_ERROR = 300  # of the statuses: whatever is above holds no speech
SANE_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class RequestContextMiddleware:
    """Set x-request-id on every response (the client's own if valid), and provide each request's record.

    A response that holds speech has AI-Disclosure, too.

    observers: called with the record once the response is complete or aborted.
    """

    def __init__(self, app: ASGIApp, observers: Sequence[Callable[[RequestContext], None]]) -> None:
        self.app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        sane = SANE_REQUEST_ID.fullmatch(given) is not None
        record = RequestContext(given if sane else f"req_{uuid4().hex}", scope.get("method", WEBSOCKET))
        record.consent = headers.get("x-speaker-consent")
        scope.setdefault("state", {})["observe"] = self._observe

        async def send_and_note(message: Message) -> None:
            if (status := _status_in(message, record.status)) is not None:
                record.status = status
                message.setdefault("headers", [])  # which the refusal of a handshake has no use for
                answered = MutableHeaders(scope=message)
                answered["x-request-id"] = record.id
                if record.generated_by is not None and status < FIRST_ERROR:
                    answered["ai-disclosure"] = disclosure(record.generated_by)
            await send(message)
            _note_end(record, message)

        async def receive_and_note() -> Message:
            message = await receive()
            _note_end(record, message)
            return message

        with request_context(record):
            try:
                await self.app(scope, receive_and_note, send_and_note)
            finally:
                record.seconds = record.elapsed()
                record.route = getattr(scope.get("route"), "path", record.route)
                self._observe(record)

    def _observe(self, record: RequestContext) -> None:
        for observe in self._observers:
            observe(record)


def disclosure(model: str) -> str:
    """Return the value of AI-Disclosure (draft-abaris-aicdh): a dictionary as of RFC 9651."""
    escaped = header_text(model).replace("\\", "\\\\").replace('"', '\\"')
    return f'mode=machine-generated, model="{escaped}"'


def header_text(text: str) -> str:
    """Return what of a text a header may hold: ASCII, and ? for all else."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def _status_in(message: Message, sent: int) -> int | None:
    """Return the status that a message sets, also of a handshake; None if one was already sent."""
    if sent:
        return None
    known = {"websocket.accept": 101, "websocket.close": 403}
    return message["status"] if message["type"].endswith("response.start") else known.get(message["type"])


def _note_end(record: RequestContext, message: Message) -> None:
    """Record whether a response is complete, and a WebSocket's first close code."""
    if message["type"].endswith("response.body") and not message.get("more_body", False):
        record.whole = True
    elif message["type"] in ("websocket.close", "websocket.disconnect") and record.close_code is None:
        record.close_code = message.get("code", 1000)
        record.whole = record.close_code != BROKEN_OFF


class HeadAsGet:
    """Answer HEAD like GET without the body, on routes where GET is cheap."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        cheap = path in CHEAP or path.startswith(CHEAP_BELOW)
        if scope["type"] != "http" or scope["method"] != "HEAD" or not cheap:
            return await self.app(scope, receive, send)

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # The server must still see HEAD, and the log the route.
        as_get = {**scope, "method": "GET"}
        try:
            await self.app(as_get, receive, send_without_body)
        finally:
            scope["route"] = as_get.get("route")


class LastResort:
    """Answer unexpected errors; if the response has started, abort the connection.

    An open WebSocket is closed with 1011.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_see(message: Message) -> None:
            nonlocal started
            started = started or message["type"] in ("http.response.start", "websocket.accept")
            await send(message)

        try:
            await self.app(scope, receive, send_and_see)
        except WebSocketDisconnect:  # the client is gone
            return
        except Exception as error:
            if started:
                codes = (getattr(known, "code", None) for known in (error, error.__cause__))
                note_error(next(filter(None, codes), "internal_error"))
                if scope["type"] == "websocket" and not isinstance(error, Stalled):
                    with suppress(OSError):  # the client may have disconnected
                        await send({"type": "websocket.close", "code": INTERNAL_ERROR})
                raise
            await refusal(error)(scope, receive, send)


class BodiesBeingRead:
    """Bounds what the bodies that are being read hold together. For the event loop's thread only.

    The first SMALL_BODY bytes of each don't count, so that texts are read while recordings fill the memory. A
    body that was read whole counts no longer: from there on, the queues limit requests.
    """

    def __init__(self, max_bytes: int) -> None:
        self._held, self._max_bytes = 0, max_bytes

    @contextmanager
    def counted(self, receive: Receive) -> Iterator[Receive]:
        """Wrap `receive`: it raises HTTPException, 429, once all bodies together are too large."""
        received = held = 0

        async def receive_counted() -> Message:
            nonlocal received, held
            message = await receive()
            received += len(message.get("body", b""))
            grown = (max(received - SMALL_BODY, 0) if message.get("more_body", False) else 0) - held
            if grown > 0 and self._held + grown > self._max_bytes:
                full = "Too many large bodies are being sent; try again in a moment."
                raise HTTPException(429, full, {"retry-after": "5"})
            held += grown
            self._held += grown
            return message

        try:
            yield receive_counted
        finally:
            self._held -= held


class BodyLimit:
    """Refuse too large bodies with 413 while they are read, whatever their headers say.

    limit: bytes of a form, or of JSON that may contain recordings; plain_limit: of any other. Bodies that are
    being read may have BODIES_AT_ONCE times the limit together; beyond it, 429.

    JSON values are counted too, by their separators: a recording is one value, but millions of small ones
    would block the event loop for seconds, and a thread would not help, since Python's parser holds the GIL.

    A WebSocket whose message is too large, or has too many values, is closed with 1009.

    The rest of a body slightly over the limit is read and discarded first: a client that is still sending
    would otherwise find its connection closed instead of the response.
    """

    def __init__(self, app: ASGIApp, limit: int, plain_limit: int) -> None:
        self.app = app
        self.limit, self.plain_limit = limit, plain_limit
        self._being_read = BodiesBeingRead(BODIES_AT_ONCE * limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            return await self.app(scope, _within_limit(receive, send), send)
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        form = Headers(scope=scope).get("content-type", "").startswith("multipart/form-data")
        recordings = form or scope["path"] in RECORDINGS_IN_JSON
        limit = self.limit if recordings else self.plain_limit
        max_values = MAX_MARKS if scope["path"] == BOOKS else MAX_VALUES
        received = values = 0

        async def receive_within_limit() -> Message:
            nonlocal received, values
            message = await receive()
            body = message.get("body", b"")
            received += len(body)
            # Searching is much faster than counting, and recordings have no separators.
            values += 0 if form else sum(body.count(mark) for mark in VALUE_MARKS if mark in body)
            if received <= limit and values <= max_values:
                return message
            while message.get("more_body", False) and received <= 2 * limit:
                message = await receive()
                received += len(message.get("body", b""))
            if values > max_values:
                raise HTTPException(413, f"The body holds more than {max_values} values; send less in it.")
            what = "send a shorter recording or an MP3" if recordings else "send less"
            raise HTTPException(413, f"The body is larger than {_size(limit)}; {what}.")

        with self._being_read.counted(receive_within_limit) as receive_counted:
            await self.app(scope, receive_counted, send)


def _within_limit(receive: Receive, send: Send) -> Receive:
    """Wrap `receive`: a too large message closes the WebSocket."""

    async def receive_within_limit() -> Message:
        message = await receive()
        text = message.get("text") or ""
        values = sum(text.count(mark.decode()) for mark in VALUE_MARKS)
        size = max(len(text), len(message.get("bytes") or b""))
        if size <= MAX_MESSAGE_BYTES and values <= MAX_VALUES:
            return message
        note_error("message_too_large")
        await send({"type": "websocket.close", "code": TOO_LARGE, "reason": "message_too_large"})
        return {"type": "websocket.disconnect", "code": TOO_LARGE}

    return receive_within_limit


def _size(limit: int) -> str:
    return f"{limit / 2**20:.0f} MiB" if limit >= 2**20 else f"{limit / 2**10:.0f} KiB"
