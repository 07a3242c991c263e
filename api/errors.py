"""The one mapper: every error becomes OpenAI's error body, `{"error": {message, type, param, code}}`."""

import errno
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.request_context import note_error
from api.schemas.chat import ErrorDetail
from errors import (
    Conflict,
    InvalidRequest,
    ModelError,
    PayloadTooLarge,
    StoreUnavailable,
    Unauthorized,
    UnsupportedMedia,
    VoiceServerError,
)

log = logging.getLogger(__name__)

# EFBIG: a limit on the size of files.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CODES = {404: "not_found", 405: "method_not_allowed", 413: PayloadTooLarge.default_code}


def add_error_handlers(app: FastAPI) -> None:
    """Answer every foreseen exception with `error_response`; the middleware does so for the others."""
    for kind in (VoiceServerError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _handle)


@contextmanager
def blamed_on(path: str) -> Iterator[None]:
    """Name this field in an error that comes from below and knows of no field."""
    try:
        yield
    except InvalidRequest as error:
        error.param = error.param or path
        raise


def error_response(error: Exception) -> JSONResponse:
    """The HTTP answer to an error, which is noted; an unforeseen one is logged too, and answered 500 without
    details."""
    if _disk_is_full(error):
        log.error("the disk is full", exc_info=error)
        error = StoreUnavailable("The server's disk is full; nothing was kept. Try again later.")
    if isinstance(error, HTTPException):
        kind = InvalidRequest if error.status_code < 500 else VoiceServerError
        param = "body" if error.status_code == 413 else None
        code = CODES.get(error.status_code, kind.default_code)
        note_error(code)
        return JSONResponse(
            _body(str(error.detail), kind.type, param, code), error.status_code, error.headers
        )
    if isinstance(error, RequestValidationError):
        error = _invalid_request(error)
    elif not isinstance(error, VoiceServerError):
        log.error("unforeseen error", exc_info=error)
        error = ModelError("The server failed on this request; its log says why.", code="internal_error")
    note_error(error.code)
    body = _body(error.message, error.type, error.param, error.code)
    return JSONResponse(body, error.status, _headers(error))


def error_detail(error: VoiceServerError) -> ErrorDetail:
    """The error of one part of an answer, such as an item of a batch; it is noted as others are."""
    note_error(error.code)
    return ErrorDetail(message=error.message, type=error.type, param=error.param, code=error.code)


def _disk_is_full(error: Exception) -> bool:
    """Also where the disk was to take an upload: FastAPI then says that the body can't be parsed."""
    cause = error.__cause__ if isinstance(error, HTTPException) else error
    return isinstance(cause, OSError) and cause.errno in DISK_FULL


async def _handle(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, HTTPException) and error.status_code in (404, 405):
        error.detail = f"{error.detail}: {request.method} {request.url.path}"
    return error_response(error)


def _headers(error: VoiceServerError) -> dict[str, str]:
    """What tells a client when to try again, or not to: OpenAI's own tries again after a 409."""
    if isinstance(error, Conflict):
        return {"x-should-retry": "false"}
    if isinstance(error, Unauthorized):
        return {"www-authenticate": "Bearer"}
    retry_after = getattr(error, "retry_after", None)
    return {} if retry_after is None else {"retry-after": str(retry_after)}


def _body(message: str, type: str, param: str | None, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def _invalid_request(error: RequestValidationError) -> VoiceServerError:
    """The first problem of a body as one error; a body that isn't JSON at all was sent as something else."""
    issue = error.errors()[0]
    kind, param = issue["type"], field_path(issue["loc"][1:])
    if kind == "json_invalid":
        return InvalidRequest(f"The body is not valid JSON: {issue['ctx']['error']}.", code="invalid_json")
    if param is None and isinstance(issue["input"], bytes):
        return UnsupportedMedia("Send the body as JSON, with the header content-type: application/json.")
    if kind == "missing":
        what = f"the field {param!r}" if param else "a JSON body"
        return InvalidRequest(f"The request needs {what}.", code="missing_required_parameter", param=param)
    code = "invalid_type" if kind.endswith("_type") else "invalid_value"
    message = issue["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{param or 'The body'}: {message}.", code=code, param=param)


def field_path(location: Sequence[int | str]) -> str | None:
    """Where a field stands: ("messages", 0, "content") → "messages[0].content"; None for the whole body."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return path.removeprefix(".") or None
