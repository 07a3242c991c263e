"""Maps every error to HTTP with OpenAI's error body, `{"error": {message, type, param, code}}`."""

import errno
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from api.request_context import note_error
from api.schemas.chat import ErrorDetail
from api.schemas.fields import UNSUPPORTED
from errors import (
    MAX_QUOTED,
    Conflict,
    InvalidRequest,
    ModelError,
    Overloaded,
    PayloadTooLarge,
    RecogniserMissing,
    ShuttingDown,
    StoreUnavailable,
    Unauthorized,
    UnsupportedMedia,
    VoiceServerError,
)

log = logging.getLogger(__name__)

# EFBIG: the file size limit.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAX_MESSAGE = 600
LONG_WORD = re.compile(rf"(\S{{{MAX_QUOTED + 5}}})\S+")  # longer than a quotation of maximum length
NO_FILE = "Expected UploadFile"  # FastAPI's, of a part without a filename
DENIAL = "websocket.http.response"  # the ASGI extension for answers to a handshake
KINDS: Mapping[int, type[VoiceServerError]] = {413: PayloadTooLarge, 429: Overloaded, 503: ShuttingDown}
CODES = {404: "not_found", 405: "method_not_allowed", 408: "request_timeout"}


def add_error_handlers(app: FastAPI) -> None:
    """Answer expected exceptions with `error_response`; the middleware handles the others."""
    for kind in (VoiceServerError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _handle)


@contextmanager
def blamed_on(path: str) -> Iterator[None]:
    """Set `param` of errors from lower layers, which don't know the field."""
    try:
        yield
    except InvalidRequest as error:
        error.param = error.param or path
        raise


def error_response(error: Exception) -> JSONResponse:
    """Return the HTTP response to an error, and record it.

    Unexpected errors are logged, and answered with 500 without details.
    """
    error = _as_unavailable_if_disk_full(error)
    if isinstance(error, HTTPException):
        kind = KINDS.get(error.status_code, InvalidRequest if error.status_code < 500 else VoiceServerError)
        param = "body" if error.status_code == 413 else None
        code = CODES.get(error.status_code, kind.default_code)
        note_error(code)
        return JSONResponse(
            _body(str(error.detail), kind.type, param, code), error.status_code, error.headers
        )
    if isinstance(error, RequestValidationError):
        error = _invalid_request(error)
    error = foreseen(error)
    note_error(error.code)
    body = _body(error.message, error.type, error.param, error.code)
    return JSONResponse(body, error.status, _headers(error))


def refusal(error: Exception) -> ASGIApp:
    """Return an app that answers a request, or an unaccepted WebSocket, with an error.

    If the server can't respond to a WebSocket handshake, it is closed with code 1008 and the error's code.
    """
    response = error_response(error)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and DENIAL not in scope.get("extensions", {}):
            reason = str(getattr(error, "code", None) or "refused")
            return await send({"type": "websocket.close", "code": 1008, "reason": reason})
        await response(scope, receive, send)

    return answer


def readable(message: str) -> str:
    """Make a message printable: shorten very long words, and replace lone surrogates.

    Messages quote client input, and a client may have sent a recording in place of a name.
    """
    message = LONG_WORD.sub(r"\1…", message.encode("utf-8", "replace").decode())
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + "…"


def foreseen(error: Exception) -> VoiceServerError:
    """Return the error; an unexpected one is logged and replaced by one without details."""
    if isinstance(error, VoiceServerError):
        return error
    log.error("unexpected error", exc_info=error)
    return ModelError("The server failed on this request; its log says why.", code="internal_error")


def error_detail(error: Exception) -> ErrorDetail:
    """Return the error of a part of an answer, such as an item of a batch, and record it."""
    error = foreseen(_as_unavailable_if_disk_full(error))
    note_error(error.code)
    param = None if error.param is None else readable(error.param)
    return ErrorDetail(message=readable(error.message), type=error.type, param=param, code=error.code)


def _as_unavailable_if_disk_full(error: Exception) -> Exception:
    """Convert errors caused by a full disk, including FastAPI's "can't parse the body" for an upload."""
    cause = error.__cause__ if isinstance(error, HTTPException) else error
    if not isinstance(cause, OSError) or cause.errno not in DISK_FULL:
        return error
    log.error("the disk is full", exc_info=error)
    return StoreUnavailable("The server's disk is full; nothing was saved. Try again later.")


async def _handle(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException) and error.status_code in (404, 405):
        error.detail = f"{error.detail}: {request.method} {request.url.path}"
    if isinstance(error, HTTPException) and isinstance(error.__cause__, UnicodeDecodeError):
        error = InvalidRequest("The body must be JSON in UTF-8, not compressed.", code="invalid_json")
    return error_response(error)


def _headers(error: VoiceServerError) -> dict[str, str]:
    """Return headers that tell clients whether and when to retry; OpenAI's SDKs retry after a 409 or 500."""
    if isinstance(error, Conflict | RecogniserMissing):
        return {"x-should-retry": "false"}
    if isinstance(error, Unauthorized):
        return {"www-authenticate": "Bearer"}
    retry_after = getattr(error, "retry_after", None)
    return {} if retry_after is None else {"retry-after": str(retry_after)}


def _body(message: str, type: str, param: str | None, code: str | None) -> dict[str, Any]:
    param = None if param is None else readable(param)
    return {"error": {"message": readable(message), "type": type, "param": param, "code": code}}


def _invalid_request(error: RequestValidationError) -> VoiceServerError:
    """Convert the first problem of a body; a body that isn't JSON has the wrong content type."""
    issue = error.errors()[0]
    if issue["type"] == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {issue['ctx']['error']}.", code="invalid_json")
    if len(issue["loc"]) == 1 and isinstance(issue["input"], bytes):
        return UnsupportedMedia("Send the body as JSON, with the header content-type: application/json.")
    return invalid_field({**issue, "loc": issue["loc"][1:]})


def invalid_field(issue: Mapping[str, Any]) -> InvalidRequest:
    """Convert a pydantic issue, whose `loc` is relative to the body."""
    kind, param = issue["type"], field_path(issue["loc"])
    if kind == "missing":
        what = f"the field {param!r}" if param else "a JSON body"
        return InvalidRequest(f"The request needs {what}.", code="missing_required_parameter", param=param)
    if kind == UNSUPPORTED:
        return InvalidRequest(issue["msg"], code=UNSUPPORTED, param=param)
    if kind == "string_unicode":
        message = f"{param or 'The body'} has a lone surrogate (half a character); send complete characters."
        return InvalidRequest(message, code="invalid_value", param=param)
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    message = issue["msg"].removeprefix("Value error, ").removesuffix(".")
    if message.startswith(NO_FILE):
        message = "send a file, as a part with a filename"
    return InvalidRequest(f"{param or 'The body'}: {message}.", code=code, param=param)


def field_path(location: Sequence[int | str]) -> str | None:
    """Return a field's path: ("messages", 0, "content") → "messages[0].content"; None for the whole body."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".") or None
