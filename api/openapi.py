"""Errors and event streams in /openapi.json, which the routes' types don't describe."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.schemas.chat import ErrorResponse
from api.schemas.events import (
    ChatChunk,
    SpeechDelta,
    SpeechDone,
    SpeechWords,
    TranscriptDelta,
    TranscriptDone,
    TranscriptSpeakerSegment,
    VoiceDone,
    VoiceStep,
)
from api.schemas.jobs import SpeechJobEvent
from api.schemas.voices import OnboardingStatus
from api.streaming import EVENT_STREAM

EventModel = type[BaseModel]
EVENT_MODELS: tuple[EventModel, ...] = (
    ChatChunk,
    SpeechDelta,
    SpeechDone,
    SpeechWords,
    TranscriptDelta,
    TranscriptDone,
    TranscriptSpeakerSegment,
    VoiceStep,
    VoiceDone,
    OnboardingStatus,
    SpeechJobEvent,
    ErrorResponse,
)
REFERENCE = "#/components/schemas/{model}"
KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "One of the server's HIGGS_API_KEYS; a server without keys needs none.",
}

MEANINGS = {
    400: "The request is invalid or unsupported; `param` names the field",
    401: "No valid API key",
    403: "Without keys: a web page of another site, or an unknown host name",
    404: "No such model, voice, consent, job or session",
    409: "The name is taken, or the model is at work",
    413: "Too many bytes or characters",
    415: "Wrong content type",
    429: "The queue is full, or a rate limit is reached; see `retry-after`",
    500: "The model or the server failed",
    501: "An optional component is not installed",
    503: "The model is still loading, or the voice database is unavailable; see `retry-after`",
}
EVERYWHERE = (400, 401, 403, 429, 500, 503)
# FastAPI's own validation error, which is 400 here.
UNUSED_STATUS, UNUSED_SCHEMAS = "422", ("HTTPValidationError", "ValidationError")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return these statuses for the `responses` of a route."""
    return {status: {"model": ErrorResponse, "description": MEANINGS[status]} for status in statuses}


def event_stream(*kinds: EventModel) -> dict[str, dict[str, Any]]:
    """Return the content of a response of server-sent events, as in OpenAPI 3.2 and FastAPI.

    Each event's data is one of these models in JSON, or the error that ended the stream.
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
    """A FastAPI app whose document has this server's errors and events."""

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
            document["components"]["securitySchemes"] = {"key": KEY_SCHEME}
            document["security"] = [{"key": []}, {}]
        assert self.openapi_schema is not None
        return self.openapi_schema
