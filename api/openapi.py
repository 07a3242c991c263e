"""What /openapi.json says beside the routes' own types: the errors, in their shape."""

from typing import Any

from fastapi import FastAPI

from api.schemas.chat import ErrorResponse

MEANINGS = {
    400: "Something in the request can't be served; `param` names it",
    401: "No API key of this server's",
    404: "No such model, voice, consent or session",
    409: "The name is taken",
    413: "More bytes or characters than are taken",
    415: "A body of another content type",
    429: "The queue is full, or a rate limit is reached; see `retry-after`",
    500: "The model or the server failed",
    501: "A part that may be left out is not installed",
    503: "The model is still being loaded, or the store of voices is away; see `retry-after`",
}
EVERYWHERE = (400, 401, 429, 500, 503)
# FastAPI's own account of a bad request, which is answered 400 here.
UNUSED_STATUS, UNUSED_SCHEMAS = "422", ("HTTPValidationError", "ValidationError")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, as FastAPI takes the `responses` of a route."""
    return {status: {"model": ErrorResponse, "description": MEANINGS[status]} for status in statuses}


class DocumentedApp(FastAPI):
    """A FastAPI app whose document tells of our errors only."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            for path in document["paths"].values():
                for operation in path.values():
                    operation["responses"].pop(UNUSED_STATUS, None)
            for name in UNUSED_SCHEMAS:
                document["components"]["schemas"].pop(name, None)
        assert self.openapi_schema is not None
        return self.openapi_schema
