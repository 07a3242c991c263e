"""What every request goes through: its id and its record, the last resort for errors, the limit on bodies."""

import re
from collections.abc import Callable, Sequence
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.request_context import UNKNOWN_ROUTE, RequestContext, note_error, request_context

CHEAP = ("/", "/health", "/livez", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json")
CHEAP_BELOW = ("/web/", "/v1/models")
# Where JSON may hold a recording; everywhere else it is short.
RECORDINGS_IN_JSON = ("/v1/chat/completions", "/v1/audio/speech", "/v1/audio/speech/batch")
MAX_VALUES = 50_000  # of a body in JSON; parsed in some 30 ms
VALUE_MARKS = (b",", b"[", b"{")
SANE_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class RequestContextMiddleware:
    """Put x-request-id on every response, the client's own if sane, and show each request's record around.

    observers: get the record once the answer is out, or has broken off.
    """

    def __init__(self, app: ASGIApp, observers: Sequence[Callable[[RequestContext], None]]) -> None:
        self.app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        sane = SANE_REQUEST_ID.fullmatch(given) is not None
        record = RequestContext(given if sane else f"req_{uuid4().hex}", scope["method"])

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = record.id
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                record.whole = True

        with request_context(record):
            try:
                await self.app(scope, receive, send_and_note)
            finally:
                record.seconds = record.elapsed()
                record.route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
                for observe in self._observers:
                    observe(record)


class HeadAsGet:
    """Answer HEAD as GET without the body, where a GET costs nothing."""

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

        # The server itself must go on to know that this is a HEAD, and whoever logs it which route it took.
        as_get = {**scope, "method": "GET"}
        try:
            await self.app(as_get, receive, send_without_body)
        finally:
            scope["route"] = as_get.get("route")


class LastResort:
    """Answer errors that nobody foresaw; one that breaks an answer off breaks the connection off, too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_see(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_see)
        except Exception as error:
            if started:
                codes = (getattr(known, "code", None) for known in (error, error.__cause__))
                note_error(next(filter(None, codes), "internal_error"))
                raise
            await error_response(error)(scope, receive, send)


class BodyLimit:
    """Refuse a body that is too large with 413 while it is read, whatever its headers say.

    limit: bytes of a form, or of JSON where a recording may stand; plain_limit: of any other.

    Of JSON the values are counted too, by the marks that part them: a recording is one value, however long,
    but millions of small ones would hold up the event loop for seconds, and a thread would not help, since
    Python's parser lets no other thread run.

    What is left of a body not far over the limit is read and dropped first: a client that is still
    sending would otherwise meet a closed connection instead of the answer.
    """

    def __init__(self, app: ASGIApp, limit: int, plain_limit: int) -> None:
        self.app = app
        self.limit, self.plain_limit = limit, plain_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        form = Headers(scope=scope).get("content-type", "").startswith("multipart/form-data")
        recordings = form or scope["path"] in RECORDINGS_IN_JSON
        limit = self.limit if recordings else self.plain_limit
        received = values = 0

        async def receive_within_limit() -> Message:
            nonlocal received, values
            message = await receive()
            body = message.get("body", b"")
            received += len(body)
            values += 0 if form else sum(map(body.count, VALUE_MARKS))
            if received <= limit and values <= MAX_VALUES:
                return message
            while message.get("more_body", False) and received <= 2 * limit:
                message = await receive()
                received += len(message.get("body", b""))
            if values > MAX_VALUES:
                raise HTTPException(413, f"The body holds more than {MAX_VALUES} values; send less in it.")
            what = "send a shorter recording or an MP3" if recordings else "send less in it"
            raise HTTPException(413, f"The body is larger than {_size(limit)}; {what}.")

        await self.app(scope, receive_within_limit, send)


def _size(limit: int) -> str:
    return f"{limit / 2**20:.0f} MiB" if limit >= 2**20 else f"{limit / 2**10:.0f} KiB"
