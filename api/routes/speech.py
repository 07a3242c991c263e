"""POST /v1/audio/speech: a text in, a sound file out, sent while the model still speaks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from api.attempts import Attempts, quality_of
from api.chat_responses import usage_of
from api.errors import blamed_on
from api.middleware.auth import Owner
from api.routes.ops import check_model
from api.schemas.chat import SpeechFormat, SpeechQuality, VoiceUsed
from api.schemas.speech import SpeechRequest
from api.state import Cloner, ServerState, State
from api.streaming import (
    EVENT_STREAM,
    PiecewiseResponse,
    base64_pieces,
    begun,
    sse,
    while_connected,
    with_failure_told,
)
from api.text_validation import check_text
from api.voice_resolution import CLONE, Recording, VoiceRequest, choose_voices
from audio.encode import FORMATS, encode_audio, encode_pieces, format_named
from errors import InvalidRequest
from higgs.speech import SpeechStream
from voice_cloning import VoiceCloner

router = APIRouter()

# What clients of OpenAI's ask for where nobody told them another name.
OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
FILE = {"schema": {"type": "string", "format": "binary"}}
CONTENT = {format.content_type: FILE for format in FORMATS.values()} | {
    EVENT_STREAM: {"schema": {"type": "string"}}
}


@router.post("/v1/audio/speech", response_class=Response, responses={200: {"content": CONTENT}})
async def create_speech(
    body: SpeechRequest, request: Request, cloner: Cloner, state: State, owner: Owner
) -> Response:
    """Speak a text. The header x-voice-used says which voice spoke: default, clone, or a kept one's id;
    x-seed gives the same audio again. Where the request or the voice says in words how to speak,
    x-instructions-followed says whether this model can be told.

    Where the speech is verified, x-takes, x-faults and x-word-error-rate say what was found.
    """
    check_verifiable(body)
    begun_speech = await run_in_threadpool(begin_speech, body, cloner, state, owner)
    stream, takes = begun_speech.stream, begun_speech.takes
    headers = voice_headers(begun_speech.voice)
    media_type = format_named(body.response_format).content_type
    if body.stream_format == "audio" and (body.stream is False or state.verifier(body.verify)):
        speech, quality = await while_connected(request, takes, takes.best)
        data = (await run_in_threadpool(encode_audio, speech.samples, body.response_format)).data
        headers |= {"x-seed": str(speech.seed)} | quality_headers(quality)
        return Response(data, media_type=media_type, headers=headers)
    samples = await begun(stream, request)
    headers["x-seed"] = str(stream.seed)
    if body.stream_format == "sse":
        events = with_failure_told(speech_events(stream, samples, body.input, body.response_format))
        return PiecewiseResponse(events, stream, EVENT_STREAM, headers)
    pieces = encode_pieces(samples, body.response_format)
    return PiecewiseResponse(pieces, stream, media_type, headers)


@dataclass(frozen=True)
class BegunSpeech:
    """A speech on its way: its stream, or takes of it to choose from, and who speaks."""

    stream: SpeechStream
    takes: Attempts
    voice: VoiceUsed


def begin_speech(body: SpeechRequest, cloner: VoiceCloner, state: ServerState, owner: str) -> BegunSpeech:
    """Queue the text of a body."""
    check_model(body.model, cloner, OPENAI_MODELS)
    check_text(body.input, "input", state.limits.text_characters)
    options = replace(body.sampling(), delivery=body.delivery(body.instructions))
    voices, used = choose_voices(voice_requests(body), options, cloner, state, owner)
    speak = partial(cloner.stream, body.input, voices, options)
    with blamed_on("input"):
        stream = speak()
    again = speak if body.seed is None else None
    takes = Attempts(
        stream, again, body.input, state.verifier(body.verify), state.request_defaults.max_attempts
    )
    return BegunSpeech(stream, takes, used)


def check_verifiable(body: SpeechRequest) -> None:
    if body.verify and body.stream_format == "sse":
        message = "Events leave before the speech can be heard as a whole; ask for stream_format audio."
        raise InvalidRequest(message, code="unsupported", param="verify")


def voice_requests(body: SpeechRequest) -> list[VoiceRequest]:
    """The voice of each speaker; a recording in the body is there to be cloned, whatever `voice` says."""
    words = (body.ref_text or "").strip() or None
    recording = None if body.ref_audio is None else Recording(body.ref_audio, "ref_audio", words)
    named = [(f"voices[{number}]", name) for number, name in enumerate(body.voices or ())]
    named = named or [("voice", CLONE if recording else body.voice)]
    if recording is None and any(name == CLONE for _, name in named):
        message = "The voice 'clone' needs a recording: send one in ref_audio, base64-encoded."
        raise InvalidRequest(message, code="missing_required_parameter", param="ref_audio")
    return [VoiceRequest(name, path, recording if name == CLONE else None) for path, name in named]


def voice_headers(voice: VoiceUsed) -> dict[str, str]:
    """Who speaks, speaker by speaker, and whether it is spoken as was said in words, if it was."""
    headers = {"x-voice-used": voice.used}
    if voice.instructions_followed is not None:
        headers["x-instructions-followed"] = str(voice.instructions_followed).lower()
    return headers


def quality_headers(quality: SpeechQuality) -> dict[str, str]:
    """What was found in the speech, for clients that get a mere file."""
    headers = {"x-takes": str(quality.takes), "x-faults": ", ".join(fault.kind for fault in quality.faults)}
    if quality.word_error_rate is not None:
        headers["x-word-error-rate"] = f"{quality.word_error_rate:.3f}"
    return headers


def speech_events(
    stream: SpeechStream, samples: Iterable[np.ndarray], text: str, format: SpeechFormat
) -> Iterator[bytes]:
    """OpenAI's events of a speech: its file in deltas of base64, and in the end the usage.

    `quality`, what is wrong with the speech, is an extension.
    """
    for data in base64_pieces(encode_pieces(samples, format)):
        yield sse({"type": "speech.audio.delta", "audio": data})
    speech = stream.finished()
    usage = usage_of(speech)
    counts = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    quality = quality_of(speech, text).model_dump()
    done = {"type": "speech.audio.done", "usage": counts | {"total_tokens": usage.total_tokens}}
    yield sse({**done, "quality": quality})
