"""POST /v1/audio/transcriptions and /v1/audio/translations."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import PlainTextResponse, Response

from api import transcript_formats as formats
from api.diarised import Speakers, diarised
from api.errors import blamed_on
from api.known_speakers import check_known_speakers, known_embeddings
from api.middleware.auth import Owner
from api.model_names import check_model
from api.openapi import errors, event_stream
from api.schemas.events import TranscriptDelta, TranscriptDone, TranscriptSpeakerSegment
from api.schemas.transcription import (
    DiarizedTranscript,
    RecordingForm,
    TranscriptionForm,
    TranscriptText,
    TranslationForm,
    VerboseTranscript,
)
from api.state import ServerState, State
from api.streaming import EVENT_STREAM, ChunkedResponse, sse, while_connected, with_error_event
from api.uploads import FORM, require_form, uploaded_bytes
from asr.transcriber import Study, Transcriber, TranscriptionJob
from asr.transcript import Segment, Transcript, WindowTranscript
from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from errors import InvalidRequest

router = APIRouter()

MAX_SECONDS = 3600.0
SUBTITLES = {"srt": "application/x-subrip", "vtt": "text/vtt"}
CONTENT = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", *SUBTITLES.values())}
Answer = VerboseTranscript | DiarizedTranscript | TranscriptText
# A known speaker's reference is a field: 10 s of 24-bit stereo at 96 kHz, in base64.
MAX_FIELD_BYTES = 8 * 2**20


@router.post(
    "/v1/audio/transcriptions",
    dependencies=[Depends(require_form)],
    response_model=Answer,
    response_model_exclude_none=True,
    responses={
        200: {"content": CONTENT | event_stream(TranscriptDelta, TranscriptSpeakerSegment, TranscriptDone)},
        **errors(501),
    },
    form_limits={"max_part_size": MAX_FIELD_BYTES},
)
async def create_transcription(
    form: Annotated[TranscriptionForm, Form(media_type=FORM)], request: Request, state: State, owner: Owner
) -> Answer | Response:
    """Transcribe the uploaded file."""
    check_timestamps(form)
    check_known_speakers(form)
    check_model(form.model, state.model_names)
    speakers = await speakers_of(form, request, state, owner) if form.diarised else None
    job = await submit(form, state, None if speakers is None else speakers.study)
    if not form.stream:
        return await answer(form, job, request, state.transcriber, speakers)
    parts = iter(job)
    with blamed_on("file"):
        first = await while_connected(request, job, lambda: next(parts, None))
    events = transcript_events(chain([first] if first else [], parts), job, speakers)
    return ChunkedResponse(with_error_event(events), job, EVENT_STREAM)


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
    check_model(form.model, state.model_names)
    job = await submit(form, state)
    return await answer(form, job, request, state.transcriber)


async def speakers_of(form: TranscriptionForm, request: Request, state: ServerState, owner: str) -> Speakers:
    """Get ready to tell speakers apart, and to know the form's known speakers."""
    state.speakers.require()
    known = await while_connected(request, None, lambda: known_embeddings(form, state, owner))
    return Speakers(state.speakers, form.known_speaker_names, known)


async def submit(form: RecordingForm, state: ServerState, study: Study | None = None) -> TranscriptionJob:
    """Start to transcribe the file; it is decoded when its turn comes, and studied first."""
    data = await uploaded_bytes(form.file, "file", state.limits.upload_bytes)

    def decode(seconds: float) -> np.ndarray:
        return decode_audio(data, max_seconds=seconds)

    return state.transcriber.submit_lazy(decode, SAMPLE_RATE, MAX_SECONDS, form.task, study)


async def answer(
    form: RecordingForm,
    job: TranscriptionJob,
    request: Request,
    transcriber: Transcriber,
    speakers: Speakers | None = None,
) -> Answer | Response:
    """Return the transcript in the requested format."""

    def work() -> Answer | Response:
        transcript = job.transcript()
        if speakers is not None:
            return diarised(transcript, speakers)
        return formatted(form, transcript, transcriber)

    with blamed_on("file"):
        return await while_connected(request, job, work)


def formatted(form: RecordingForm, transcript: Transcript, transcriber: Transcriber) -> Answer | Response:
    match form.response_format:
        case "verbose_json":
            return formats.verbose(transcript, form, transcriber.languages)
        case "text":
            return PlainTextResponse(transcript.text + "\n")
        case "srt":
            return PlainTextResponse(formats.srt(transcript), media_type=SUBTITLES["srt"])
        case "vtt":
            return PlainTextResponse(formats.vtt(transcript), media_type=SUBTITLES["vtt"])
        case _:
            return formats.plain(transcript)


def transcript_events(
    parts: Iterator[WindowTranscript], job: TranscriptionJob, speakers: Speakers | None
) -> Iterator[bytes]:
    """Yield OpenAI's transcript events: text window by window, with its speakers, then the whole."""
    heard: list[Segment] = []
    codes: list[str] = []
    text = ""
    for part in parts:
        heard += part.segments
        codes += [part.language] if part.segments else []
        found = [(part.text, None)] if speakers is None else speakers.segments(part.segments)
        for said, segment in found:
            delta = said if text else said.lstrip()
            text += delta
            if delta:
                named = {} if segment is None else {"segment_id": segment.id}
                yield sse({"type": "transcript.text.delta", "delta": delta, **named})
            if segment is not None:
                yield sse(segment.model_dump())
    usage = formats.usage_of(heard, job.seconds).model_dump()
    languages = [language.model_dump() for language in formats.languages_of(codes)]
    yield sse({"type": "transcript.text.done", "text": text, "languages": languages, "usage": usage})


def check_timestamps(form: TranscriptionForm) -> None:
    """Refuse options that would be ignored: timestamps without verbose_json, formats of a stream."""
    if form.timestamp_granularities and form.response_format != "verbose_json":
        message = "Timestamps are only available with response_format verbose_json."
        raise InvalidRequest(message, code="invalid_value", param="timestamp_granularities[]")
    if form.stream and form.response_format not in ("json", "text", "diarized_json"):
        message = "A stream sends events of text; send response_format json or diarized_json, or omit stream."
        raise InvalidRequest(message, code="invalid_value", param="response_format")
