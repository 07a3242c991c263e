"""POST /v1/audio/speech: speak a text; the file is sent while the model speaks."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from api.attempts import quality_of
from api.chat_responses import usage_of
from api.middleware.auth import Owner
from api.openapi import event_stream
from api.schemas.chat import SpeechQuality, VoiceUsed
from api.schemas.events import SpeechDelta, SpeechDone
from api.schemas.speech import SpeechRequest
from api.speech_requests import begin_speech
from api.state import Cloner, State
from api.streaming import (
    EVENT_STREAM,
    PiecewiseResponse,
    base64_pieces,
    begun,
    sse,
    while_connected,
    with_failure_told,
)
from audio.encode import FORMATS, encode_audio, encode_pieces, format_named
from audio.speech_track import SpeechTrack
from errors import InvalidRequest
from higgs.speech import SpeechStream

router = APIRouter()

FILE = {"schema": {"type": "string", "format": "binary"}}
CONTENT = {format.content_type: FILE for format in FORMATS.values()} | event_stream(SpeechDelta, SpeechDone)


@router.post("/v1/audio/speech", response_class=Response, responses={200: {"content": CONTENT}})
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
    stream, takes = begun_speech.stream, begun_speech.takes
    headers = {"x-model-used": cloner.model_id} | voice_headers(begun_speech.voice)
    media_type = format_named(body.response_format).content_type
    if body.stream_format == "audio" and (body.stream is False or state.verifier(body.verify)):
        speech, quality = await while_connected(request, takes, takes.best)
        data = (await run_in_threadpool(encode_audio, speech.samples, body.response_format)).data
        headers |= {"x-seed": str(speech.seed)} | quality_headers(quality)
        return Response(data, media_type=media_type, headers=headers)
    track = SpeechTrack()
    if body.stream_format == "sse":
        stream.watch(track.push)
    samples = await begun(stream, request)
    headers["x-seed"] = str(stream.seed)
    if body.stream_format == "sse":
        events = with_failure_told(speech_events(stream, samples, track, body))
        return PiecewiseResponse(events, stream, EVENT_STREAM, headers)
    pieces = encode_pieces(samples, body.response_format)
    return PiecewiseResponse(pieces, stream, media_type, headers)


def check_verifiable(body: SpeechRequest) -> None:
    if body.verify and body.stream_format == "sse":
        message = "Streamed events can't be verified before they are sent; use stream_format audio."
        raise InvalidRequest(message, code="unsupported", param="verify")


def voice_headers(voice: VoiceUsed) -> dict[str, str]:
    """Return headers with the voices used, and whether instructions are followed."""
    headers = {"x-voice-used": voice.used}
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
    stream: SpeechStream, samples: Iterable[np.ndarray], track: SpeechTrack, body: SpeechRequest
) -> Iterator[bytes]:
    """Yield OpenAI's speech events: deltas of the file in base64, then the usage.

    Extension: `quality` has the problems of the speech.
    """
    for data in base64_pieces(encode_pieces(samples, body.response_format)):
        yield sse({"type": "speech.audio.delta", "audio": data})
    speech = stream.finished()
    usage = usage_of(speech)
    counts = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    quality = quality_of(track, body.input, speech.texts).model_dump()
    done = {"type": "speech.audio.done", "usage": counts | {"total_tokens": usage.total_tokens}}
    yield sse({**done, "quality": quality})
