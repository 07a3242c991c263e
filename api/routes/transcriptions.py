"""POST /v1/audio/transcriptions and /v1/audio/translations."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import PlainTextResponse, Response

from api import transcript_formats as formats
from api.errors import blamed_on
from api.model_names import check_model
from api.openapi import event_stream
from api.schemas.events import TranscriptDelta, TranscriptDone
from api.schemas.transcription import (
    TranscriptionForm,
    TranscriptText,
    TranslationForm,
    VerboseTranscript,
)
from api.state import ServerState, State
from api.streaming import EVENT_STREAM, PiecewiseResponse, sse, while_connected, with_failure_told
from api.uploads import FORM, require_form, uploaded_bytes
from asr.transcriber import Transcriber, TranscriptionJob
from asr.transcript import Heard, Segment, Transcript
from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from errors import InvalidRequest

router = APIRouter()

MAX_SECONDS = 3600.0
SUBTITLES = {"srt": "application/x-subrip", "vtt": "text/vtt"}
CONTENT = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", *SUBTITLES.values())}
Answer = VerboseTranscript | TranscriptText


@router.post(
    "/v1/audio/transcriptions",
    dependencies=[Depends(require_form)],
    response_model=Answer,
    response_model_exclude_none=True,
    responses={200: {"content": CONTENT | event_stream(TranscriptDelta, TranscriptDone)}},
)
async def create_transcription(
    form: Annotated[TranscriptionForm, Form(media_type=FORM)], request: Request, state: State
) -> Answer | Response:
    """Transcribe the uploaded file."""
    check_timestamps(form)
    job = await listen(form, state)
    if not form.stream:
        return await answer(form, job, request, state.transcriber)
    parts = iter(job)
    with blamed_on("file"):
        first = await while_connected(request, job, lambda: next(parts, None))
    events = transcript_events(chain([first] if first else [], parts), job)
    return PiecewiseResponse(with_failure_told(events), job, EVENT_STREAM)


@router.post(
    "/v1/audio/translations",
    dependencies=[Depends(require_form)],
    response_model=Answer,
    response_model_exclude_none=True,
    responses={200: {"content": CONTENT}},
)
async def create_translation(
    form: Annotated[TranslationForm, Form(media_type=FORM)], request: Request, state: State
) -> Answer | Response:
    """Transcribe the uploaded file and translate it into English. pocketsphinx recognises English only."""
    job = await listen(form, state)
    return await answer(form, job, request, state.transcriber)


async def listen(form: TranslationForm, state: ServerState) -> TranscriptionJob:
    """Start to transcribe the file; it is decoded when its turn comes."""
    check_model(form.model, state.model_names)
    data = await uploaded_bytes(form.file, "file", state.limits.upload_bytes)

    def decode(seconds: float) -> np.ndarray:
        return decode_audio(data, max_seconds=seconds)

    return state.transcriber.listen_to(decode, SAMPLE_RATE, MAX_SECONDS, form.task)


async def answer(
    form: TranslationForm, job: TranscriptionJob, request: Request, transcriber: Transcriber
) -> Answer | Response:
    """Return the transcript in the requested format."""

    def work() -> Answer | Response:
        return formatted(form, job.transcript(), transcriber)

    with blamed_on("file"):
        return await while_connected(request, job, work)


def formatted(form: TranslationForm, transcript: Transcript, transcriber: Transcriber) -> Answer | Response:
    match form.response_format:
        case "json":
            return formats.plain(transcript)
        case "verbose_json":
            return formats.verbose(transcript, form, transcriber.languages)
        case "text":
            return PlainTextResponse(transcript.text + "\n")
        case "srt":
            return PlainTextResponse(formats.srt(transcript), media_type=SUBTITLES["srt"])
        case "vtt":
            return PlainTextResponse(formats.vtt(transcript), media_type=SUBTITLES["vtt"])


def transcript_events(parts: Iterator[Heard], job: TranscriptionJob) -> Iterator[bytes]:
    """Yield OpenAI's transcript events: text window by window, then the whole."""
    segments: list[Segment] = []
    text = ""
    for heard in parts:
        delta = heard.text if text else heard.text.lstrip()
        segments += heard.segments
        text += delta
        if delta:
            yield sse({"type": "transcript.text.delta", "delta": delta})
    usage = formats.usage_of(segments, job.seconds).model_dump()
    yield sse({"type": "transcript.text.done", "text": text, "usage": usage})


def check_timestamps(form: TranscriptionForm) -> None:
    """Refuse options that would be ignored: timestamps without verbose_json, formats of a stream."""
    if form.timestamp_granularities and form.response_format != "verbose_json":
        message = "Timestamps are only available with response_format verbose_json."
        raise InvalidRequest(message, code="invalid_value", param="timestamp_granularities[]")
    if form.stream and form.response_format not in ("json", "text"):
        message = "A stream sends plain text events; omit response_format or stream."
        raise InvalidRequest(message, code="invalid_value", param="response_format")
