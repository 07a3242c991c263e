"""What every request goes through: a request id, the last resort for errors, and the limit on bodies."""

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response

SANE_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class RequestIds:
    """Put x-request-id on every response, the client's own if sane; answer unforeseen errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if SANE_REQUEST_ID.fullmatch(given) else f"req_{uuid4().hex}"
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:
            if started:
                raise
            await error_response(error)(scope, receive, send_with_id)


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
