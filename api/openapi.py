"""What /openapi.json says beside the routes' own types: the errors, in their shape."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.schemas.chat import ErrorResponse
from api.schemas.events import (
    ChatChunk,
    SpeechDelta,
    SpeechDone,
    TranscriptDelta,
    TranscriptDone,
    VoiceDone,
    VoiceStep,
)
from api.schemas.jobs import SpeechJobEvent
from api.schemas.voices import OnboardingStatus
from api.streaming import EVENT_STREAM

EventModel = type[BaseModel]
EVENT_MODELS: tuple[EventModel, ...] = (
    *(ChatChunk, SpeechDelta, SpeechDone, TranscriptDelta, TranscriptDone),
    *(VoiceStep, VoiceDone, OnboardingStatus, SpeechJobEvent, ErrorResponse),
)
REFERENCE = "#/components/schemas/{model}"

MEANINGS = {
    400: "Something in the request can't be served; `param` names it",
    401: "No API key of this server's",
    403: "Without keys: a web page of another site, or an unknown name of this server",
    404: "No such model, voice, consent, job or session",
    409: "The name is taken, or the model is at work",
    413: "More bytes or characters than are taken",
    415: "A body of another content type",
    429: "The queue is full, or a rate limit is reached; see `retry-after`",
    500: "The model or the server failed",
    501: "A part that may be left out is not installed",
    503: "The model is still being loaded, or the store of voices is away; see `retry-after`",
}
EVERYWHERE = (400, 401, 403, 429, 500, 503)
# FastAPI's own account of a bad request, which is answered 400 here.
UNUSED_STATUS, UNUSED_SCHEMAS = "422", ("HTTPValidationError", "ValidationError")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, as FastAPI takes the `responses` of a route."""
    return {status: {"model": ErrorResponse, "description": MEANINGS[status]} for status in statuses}


def event_stream(*kinds: EventModel) -> dict[str, dict[str, Any]]:
    """The content of an answer of server-sent events, as OpenAPI 3.2 and FastAPI write it.

    Each event's data is one of these kinds in JSON, or the error that broke the stream off.
    """
    models: tuple[EventModel, ...] = (*kinds, ErrorResponse)
    references = [{"$ref": REFERENCE.format(model=model.__name__)} for model in models]
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": references},
    }
    event = {"type": "object", "properties": {"data": data}, "required": ["data"]}
    return {EVENT_STREAM: {"itemSchema": event}}


class DocumentedApp(FastAPI):
    """A FastAPI app whose document tells of our errors only, and of the events of streams."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            for path in document["paths"].values():
                for operation in path.values():
                    operation["responses"].pop(UNUSED_STATUS, None)
            for name in UNUSED_SCHEMAS:
                document["components"]["schemas"].pop(name, None)
            _, found = models_json_schema(
                [(model, "serialization") for model in EVENT_MODELS], ref_template=REFERENCE
            )
            for name, schema in found["$defs"].items():
                document["components"]["schemas"].setdefault(name, schema)
        assert self.openapi_schema is not None
        return self.openapi_schema
