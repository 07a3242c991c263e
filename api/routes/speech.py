"""POST /v1/audio/speech: a text in, a sound file out, sent while the model still speaks."""

import re
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
from api.model_names import check_model
from api.openapi import event_stream
from api.schemas.chat import SpeechQuality, VoiceUsed
from api.schemas.events import SpeechDelta, SpeechDone
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
from api.text_validation import check_reference_text, check_text
from api.voice_resolution import CLONE, DEFAULT, Recording, VoiceRequest, choose_voices
from audio.encode import FORMATS, encode_audio, encode_pieces, format_named
from audio.speech_track import SpeechTrack
from errors import InvalidRequest, quoted
from higgs.speech import SpeechStream
from voice_cloning import VoiceCloner

router = APIRouter()

FILE = {"schema": {"type": "string", "format": "binary"}}
CONTENT = {format.content_type: FILE for format in FORMATS.values()} | event_stream(SpeechDelta, SpeechDone)


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


@dataclass(frozen=True)
class BegunSpeech:
    """A speech on its way: its stream, or takes of it to choose from, and who speaks."""

    stream: SpeechStream
    takes: Attempts
    voice: VoiceUsed


def begin_speech(body: SpeechRequest, cloner: VoiceCloner, state: ServerState, owner: str) -> BegunSpeech:
    """Queue the text of a body; a full queue is told before any recording is read."""
    check_model(body.model, [cloner.model_id])
    check_language(body.language, cloner)
    check_text(body.input, "input", state.limits.text_characters)
    options = replace(body.sampling(), delivery=body.delivery(body.instructions))
    wanted = voice_requests(body)
    with blamed_on("input"):
        cloner.check_length(body.input)
    with cloner.admitted() as place:
        voices, used = choose_voices(wanted, options, cloner, state, owner)
        speak = partial(cloner.stream, body.input, voices, options)
        with blamed_on("input"):
            stream = speak(place)
    again = speak if options.seed is None else None
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
    recording = None
    if body.recording is not None:
        data, path, words = body.recording
        check_reference_text(words, "ref_text" if path == "ref_audio" else "references[0].text")
        recording = Recording(data, path, (words or "").strip() or None)
    named = [(f"voices[{number}]", name) for number, name in enumerate(body.voices or ())]
    clones = recording is not None or (body.task_type == "Base" and body.voice == DEFAULT)
    named = named or [("voice", CLONE if clones else body.voice)]
    if recording is None and any(name == CLONE for _, name in named):
        message = "The voice 'clone' needs a recording: send one in ref_audio, base64-encoded."
        raise InvalidRequest(message, code="missing_required_parameter", param="ref_audio")
    return [VoiceRequest(name, path, recording if name == CLONE else None) for path, name in named]


def check_language(language: str | None, cloner: VoiceCloner) -> None:
    """Refuse a language that the model doesn't speak; one of many languages reads it from the text itself."""
    code = re.split("[-_]", (language or "auto").strip().lower())[0]
    if cloner.english_only and code not in ("", "auto", "en", "eng", "english"):
        message = f"This model speaks English only, not {quoted(language or '')}; set HIGGS_MODEL to another."
        raise InvalidRequest(message, code="unsupported_language", param="language")


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
    stream: SpeechStream, samples: Iterable[np.ndarray], track: SpeechTrack, body: SpeechRequest
) -> Iterator[bytes]:
    """OpenAI's events of a speech: its file in deltas of base64, and in the end the usage.

    `quality`, what is wrong with the speech, is an extension.
    """
    for data in base64_pieces(encode_pieces(samples, body.response_format)):
        yield sse({"type": "speech.audio.delta", "audio": data})
    speech = stream.finished()
    usage = usage_of(speech)
    counts = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    quality = quality_of(track, body.input, speech.texts).model_dump()
    done = {"type": "speech.audio.done", "usage": counts | {"total_tokens": usage.total_tokens}}
    yield sse({**done, "quality": quality})
