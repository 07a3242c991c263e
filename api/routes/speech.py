"""POST /v1/audio/speech: speak a text; the file is sent while the model speaks."""

import base64
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.attempts import quality_of
from api.chat_responses import usage_of
from api.middleware.auth import Owner
from api.middleware.core import header_text
from api.openapi import event_stream
from api.outgoing import speech_encoder
from api.schemas.chat import SpeechQuality, VoiceUsed
from api.schemas.events import SpeechDelta, SpeechDone, SpeechWords
from api.schemas.speech import SpeechRequest, TimedSpeech
from api.speech_requests import BegunSpeech, begin_speech
from api.state import Cloner, ServerState, State
from api.streaming import (
    EVENT_STREAM,
    ChunkedResponse,
    base64_chunks,
    sounding_while_connected,
    sse,
    while_connected,
    with_error_event,
)
from api.word_times import SpokenWords, spoken_words, timed, with_words, word_headers, words_of
from audio.encode import FORMATS, format_named
from audio.generated import SpeechEncoder
from audio.speech_track import SpeechTrack
from errors import InvalidRequest
from higgs.speech import SpeechStream
from synthesis.word_times import WordTime
from voice_cloning import VoiceCloner

router = APIRouter()

FILE = {"schema": {"type": "string", "format": "binary"}}
EVENTS = event_stream(SpeechDelta, SpeechWords, SpeechDone)
CONTENT = {format.content_type: FILE for format in FORMATS.values()} | EVENTS
ANSWERS: dict[int | str, dict[str, Any]] = {200: {"model": TimedSpeech, "content": CONTENT}}


@router.post("/v1/audio/speech", response_class=Response, responses=ANSWERS)
async def create_speech(
    body: SpeechRequest, request: Request, cloner: Cloner, state: State, owner: Owner
) -> Response:
    """Synthesise a text.

    The header x-voice-used has the voice: default, clone, or a saved voice's id. x-seed reproduces the audio.
    If the request or the voice has instructions, x-instructions-followed says whether this model follows
    them.

    If the speech is verified, x-takes, x-faults and x-word-error-rate have the result.
    """
    check_verifiable(body)
    ready = partial(begin_speech, body, cloner, state, owner)
    begun_speech = await while_connected(request, None, ready)
    headers = {"x-model-used": header_text(cloner.model_id)} | voice_headers(begun_speech.voice)
    if body.stream_format == "sse":
        return await event_answer(body, request, begun_speech.stream, cloner, state, headers)
    if body.stream is False or body.wants_times or body.word_timestamps or state.verifier(body.verify):
        return await whole_answer(body, request, begun_speech, cloner, state, headers)
    samples = await sounding_while_connected(begun_speech.stream, request)
    headers["x-seed"] = str(begun_speech.stream.seed)
    chunks = speech_encoder(cloner.model_id, state).stream(samples, body.response_format)
    media_type = format_named(body.response_format).content_type
    return ChunkedResponse(chunks, begun_speech.stream, media_type, headers)


async def event_answer(
    body: SpeechRequest,
    request: Request,
    stream: SpeechStream,
    cloner: VoiceCloner,
    state: ServerState,
    headers: dict[str, str],
) -> Response:
    """The speech as events, while the model speaks."""
    track = SpeechTrack()
    stream.watch(track.push)
    wanted = body.wants_times
    words = SpokenWords(body.input, stream, cloner.codec, state.transcriber) if wanted else None
    samples, encoder = await sounding_while_connected(stream, request), speech_encoder(cloner.model_id, state)
    events = with_error_event(speech_events(stream, samples, track, body, encoder, words))
    return ChunkedResponse(events, stream, EVENT_STREAM, headers | {"x-seed": str(stream.seed)})


async def whole_answer(
    body: SpeechRequest,
    request: Request,
    begun_speech: BegunSpeech,
    cloner: VoiceCloner,
    state: ServerState,
    headers: dict[str, str],
) -> Response:
    """The file at once; in JSON with the times of its words, where these are asked for."""
    attempts = begun_speech.attempts
    speech, quality = await while_connected(request, attempts, attempts.best)
    encoder = speech_encoder(cloner.model_id, state)
    file = partial(encoder.file, speech.samples, body.response_format)
    encoded = await while_connected(request, None, file)
    headers |= {"x-seed": str(speech.seed), "x-finish-reason": speech.finish_reason}
    headers |= quality_headers(quality)
    words: list[WordTime] = []
    if body.wants_times or body.word_timestamps:
        found = partial(words_of, body.input, speech, cloner.codec, state.transcriber)
        words = await while_connected(request, None, found)
    if not body.wants_times:
        headers |= word_headers(words) if body.word_timestamps else {}
        return Response(encoded.data, media_type=encoded.content_type, headers=headers)
    answer = TimedSpeech(
        audio=base64.b64encode(encoded.data).decode("ascii"),
        media_type=encoded.content_type,
        seed=speech.seed,
        finish_reason=speech.finish_reason,
        voice=begun_speech.voice,
        quality=quality,
        **timed(body, words).model_dump(),
    )
    return Response(answer.model_dump_json(), media_type="application/json", headers=headers)


def check_verifiable(body: SpeechRequest) -> None:
    if body.verify and body.stream_format == "sse":
        message = "Streamed events can't be verified before they are sent; use stream_format audio."
        raise InvalidRequest(message, code="unsupported", param="verify")


def voice_headers(voice: VoiceUsed) -> dict[str, str]:
    """Return headers with the voices used, and whether instructions are followed."""
    headers = {"x-voice-used": header_text(voice.used)}
    if voice.instructions_followed is not None:
        headers["x-instructions-followed"] = str(voice.instructions_followed).lower()
    return headers


def quality_headers(quality: SpeechQuality) -> dict[str, str]:
    """Return headers with the quality, for clients that get only a file."""
    headers = {"x-takes": str(quality.takes), "x-faults": ", ".join(fault.kind for fault in quality.faults)}
    if quality.word_error_rate is not None:
        headers["x-word-error-rate"] = f"{quality.word_error_rate:.3f}"
    return headers


def speech_events(
    stream: SpeechStream,
    samples: Iterable[np.ndarray],
    track: SpeechTrack,
    body: SpeechRequest,
    encoder: SpeechEncoder,
    words: SpokenWords | None = None,
) -> Iterator[bytes]:
    """Yield OpenAI's speech events: deltas of the file in base64, then the usage.

    Extensions: those of SpeechDone, and word times, if they are asked for.
    """
    for chunk in with_words(base64_chunks(encoder.stream(samples, body.response_format)), words):
        if isinstance(chunk, str):
            yield sse({"type": "speech.audio.delta", "audio": chunk})
        elif body.wants_words:
            times = [word.model_dump() for word in spoken_words(chunk)]
            yield sse({"type": "speech.audio.words", "words": times})
    speech = stream.finished()
    usage = usage_of(speech)
    counts = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    quality = quality_of(track, body.input, speech.texts).model_dump()
    done = {"type": "speech.audio.done", "usage": counts | {"total_tokens": usage.total_tokens}}
    shown = {"captions": timed(body, words.words).captions} if words and body.caption_format else {}
    yield sse({**done, "finish_reason": speech.finish_reason, "quality": quality, **shown})
