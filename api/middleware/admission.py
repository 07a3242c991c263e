"""Refuses requests while the queue is full, before their body is parsed or, if possible, read.

Bodies may have recordings of many megabytes: parsing those of a crowd would delay everyone else.
"""

import re
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response
from api.request_context import note_route
from api.state import ServerState
from errors import Overloaded

CHAT = "/v1/chat/completions"
SPEAKING = (CHAT, "/v1/audio/speech", "/v1/audio/speech/batch")
# A chat with modalities ["text"] uses the recogniser, which has its own queue.
MODALITIES = b'"modalities"'
TEXT_ONLY = re.compile(MODALITIES + rb'\s*:\s*\[\s*"text"\s*\]')


class Admission:
    """Refuse speech requests while the queue is full: 429 with Retry-After."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in SPEAKING:
            return await self.app(scope, receive, send)
        note_route(scope["path"])
        state: ServerState = scope["app"].state.server
        if scope["path"] != CHAT and (full := overload(state)) is not None:
            return await refuse_unread(full, scope, receive, send)
        body, gone = await whole_body(receive)
        full = None if gone else overload(state)
        if full is not None and not (scope["path"] == CHAT and asks_for_text(body)):
            return await error_response(full)(scope, receive, send)
        messages: list[Message] = [gone or {"type": "http.request", "body": body}]
        del body

        async def receive_again() -> Message:
            return messages.pop() if messages else await receive()

        await self.app(scope, receive_again, send)


def overload(state: ServerState) -> Overloaded | None:
    """Return why nothing can be queued now; None if there is room, or no model yet."""
    return None if state.cloner is None else state.cloner.overload


async def whole_body(receive: Receive) -> tuple[bytes, Message | None]:
    """Return the body, and the message that interrupted it, if one did."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return b"", message
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts), None


def asks_for_text(body: bytes) -> bool:
    """Return whether a chat asks for a transcript instead of speech, without parsing it."""
    at = body.find(MODALITIES)
    while at >= 0:
        if TEXT_ONLY.match(body, at):
            return True
        at = body.find(MODALITIES, at + 1)
    return False


async def refuse_unread(error: Overloaded, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the error at once, then discard the body.

    A client that is still sending would otherwise find its connection closed, and no answer.
    """
    response = error_response(error)
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with suppress(HTTPException):  # a body that is too large, or late
        while (await receive()).get("more_body", False):
            pass
    await send({"type": "http.response.body", "body": b""})
