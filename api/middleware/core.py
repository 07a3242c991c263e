"""What every request goes through: its id and its record, the last resort for errors, the limit on bodies."""

import re
from collections.abc import Callable, Sequence
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.request_context import UNKNOWN_ROUTE, RequestContext, note_error, request_context

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
                note_error(getattr(error.__cause__, "code", None) or "internal_error")
                raise
            await error_response(error)(scope, receive, send)


class BodyLimit:
    """Refuse a body of more than `limit` bytes with 413 while it is read, whatever its headers say.

    What is left of a body not far over the limit is read and dropped first: a client that is still
    sending would otherwise meet a closed connection instead of the answer.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received <= self.limit:
                return message
            while message.get("more_body", False) and received <= 2 * self.limit:
                message = await receive()
                received += len(message.get("body", b""))
            largest = f"{self.limit / 2**20:.0f} MiB"
            raise HTTPException(
                413, f"The body is larger than {largest}; send a shorter recording or an MP3."
            )

        await self.app(scope, receive_within_limit, send)
