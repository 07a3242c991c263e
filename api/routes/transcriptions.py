"""POST /v1/audio/transcriptions and /v1/audio/translations: a recording in, its words out."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, Response

from api import transcript_formats as formats
from api.errors import blamed_on
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
from audio.decode import SAMPLE_RATE, decode_audio
from errors import InvalidRequest, NotFound

router = APIRouter()

MAX_SECONDS = 3600.0  # 350 MB of samples
# What clients of OpenAI's ask for; all mean the one recogniser that is there.
OPENAI_MODELS = (
    *("whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
    "gpt-4o-mini-transcribe-2025-12-15",
)
SUBTITLES = {"srt": "application/x-subrip", "vtt": "text/vtt"}
CONTENT = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", *SUBTITLES.values())}
Answer = VerboseTranscript | TranscriptText


@router.post(
    "/v1/audio/transcriptions",
    dependencies=[Depends(require_form)],
    response_model=Answer,
    response_model_exclude_none=True,
    responses={200: {"content": CONTENT | {EVENT_STREAM: {"schema": {"type": "string"}}}}},
)
async def create_transcription(
    form: Annotated[TranscriptionForm, Form(media_type=FORM)], request: Request, state: State
) -> Answer | Response:
    """Write down what is said in the file."""
    check_timestamps(form)
    job, seconds = await listen(form, request, state)
    if not form.stream:
        return await answer(form, job, seconds, request, state.transcriber)
    parts = iter(job)
    first = await while_connected(request, job, lambda: next(parts, None))
    events = transcript_events(chain([first] if first else [], parts), seconds)
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
    """Write down in English what is said in the file. pocketsphinx hears English only."""
    job, seconds = await listen(form, request, state)
    return await answer(form, job, seconds, request, state.transcriber)


async def listen(
    form: TranslationForm, request: Request, state: ServerState
) -> tuple[TranscriptionJob, float]:
    """Begin to listen to the file; how long it is, in seconds."""
    check_recogniser(form.model, state.transcriber)
    data = await uploaded_bytes(form.file, "file", state.limits.upload_bytes)
    with blamed_on("file"):
        samples = await run_in_threadpool(decoded, data)
    return state.transcriber.listen(samples, SAMPLE_RATE, form.task), len(samples) / SAMPLE_RATE


def decoded(data: bytes) -> np.ndarray:
    return decode_audio(data, max_seconds=MAX_SECONDS)


async def answer(
    form: TranslationForm, job: TranscriptionJob, seconds: float, request: Request, transcriber: Transcriber
) -> Answer | Response:
    """The transcript in the format asked for."""

    def work() -> Answer | Response:
        return formatted(form, job.transcript(seconds), transcriber)

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


def transcript_events(parts: Iterator[Heard], seconds: float) -> Iterator[bytes]:
    """OpenAI's events of a transcript: its text window by window, and in the end all of it."""
    segments: list[Segment] = []
    text = ""
    for heard in parts:
        delta = heard.text if text else heard.text.lstrip()
        segments += heard.segments
        text += delta
        if delta:
            yield sse({"type": "transcript.text.delta", "delta": delta})
    usage = formats.usage_of(segments, seconds).model_dump()
    yield sse({"type": "transcript.text.done", "text": text, "usage": usage})


def check_recogniser(name: str, transcriber: Transcriber) -> None:
    """Raise NotFound unless the name means the recogniser: its own, or one of OpenAI's."""
    if name not in (*OPENAI_MODELS, *transcriber.names):
        known = ", ".join((*transcriber.names, *OPENAI_MODELS))
        message = f"The model {name!r} does not listen here; ask for one of {known}."
        raise NotFound(message, code="model_not_found", param="model")


def check_timestamps(form: TranscriptionForm) -> None:
    """Refuse what would silently be left out: times of anything but a verbose_json, formats of a stream."""
    if form.timestamp_granularities and form.response_format != "verbose_json":
        message = "Only response_format verbose_json has timestamps to choose."
        raise InvalidRequest(message, code="invalid_value", param="timestamp_granularities[]")
    if form.stream and form.response_format not in ("json", "text"):
        message = "A stream sends events of plain text; leave response_format out, or ask without stream."
        raise InvalidRequest(message, code="invalid_value", param="response_format")
