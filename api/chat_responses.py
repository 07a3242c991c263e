"""Answers of chat completions in OpenAI's format: complete, or chunks while the model speaks."""

import base64
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np

from api.attempts import quality_of
from api.kept_audio import KeptAudio
from api.schemas.chat import (
    AnswerMessage,
    AudioFormat,
    ChatResponse,
    Choice,
    CompletionTokens,
    MessageAudio,
    PromptTokens,
    SpeechQuality,
    Usage,
    VoiceUsed,
)
from api.schemas.timestamps import Timed, Timestamps
from api.streaming import base64_chunks, sse
from api.word_times import SpokenWords, spoken_words, timed, with_words
from audio.encode import FlacRecorder, encode_audio
from audio.generated import SpeechEncoder
from audio.speech_track import SpeechTrack
from higgs.speech import SpeechStream
from higgs.spoken import Speech, SpeechReport
from text.pauses import without_pauses

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Answer:
    """What is known of an answer before it is spoken."""

    encoder: SpeechEncoder
    text: str
    format: AudioFormat
    voice: VoiceUsed
    owner: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    audio_id: str = field(default_factory=lambda: f"audio_{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def model(self) -> str:
        return self.encoder.model


class WatchedStream:
    """A speech stream, and a record of its sound for the end of the answer; samples are not stored.

    words: their times, if requested.
    """

    def __init__(self, stream: SpeechStream, words: SpokenWords | None = None) -> None:
        self.stream, self.track, self.flac, self.words = stream, SpeechTrack(), FlacRecorder(), words
        stream.watch(self.track.push)
        stream.watch(self.flac.write)


def whole_answer(
    answer: Answer, speech: Speech, quality: SpeechQuality, times: Timed, kept: KeptAudio
) -> ChatResponse:
    """Return the answer as one chat completion."""
    data = base64.b64encode(answer.encoder.file(speech.samples, answer.format).data).decode("ascii")
    flac = encode_audio(speech.as_spoken, "flac").data
    expires_at = kept.keep(answer.owner, answer.audio_id, flac, without_pauses(answer.text))
    audio = MessageAudio(
        id=answer.audio_id,
        data=data,
        expires_at=expires_at,
        transcript=answer.text,
        **times.model_dump(),
    )
    return ChatResponse(
        id=answer.id,
        created=answer.created,
        model=answer.model,
        choices=[Choice(finish_reason=speech.finish_reason, message=AnswerMessage(audio=audio))],
        usage=usage_of(speech),
        voice=answer.voice,
        seed=speech.seed,
        quality=quality,
    )


def answer_events(
    answer: Answer,
    watched: WatchedStream,
    samples: Iterable[np.ndarray],
    kept: KeptAudio,
    include_usage: bool,
    wanted: Timestamps,
) -> Iterator[bytes]:
    """Yield the answer as server-sent chat completion chunks, then [DONE].

    Each field of a message is sent once, since clients concatenate repeated ones. Extensions: `voice` in the
    first chunk; `seed` and `quality` in the last one with a choice.
    """
    base = {"id": answer.id, "object": "chat.completion.chunk", "created": answer.created}
    base |= {"model": answer.model} | ({"usage": None} if include_usage else {})

    def chunk(delta: dict[str, Any], finish_reason: str | None = None, **extensions: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return sse({**base, "choices": [choice], **extensions})

    yield chunk({"role": "assistant", "content": None, "refusal": None}, voice=answer.voice.model_dump())
    yield chunk({"audio": {"id": answer.audio_id, "transcript": answer.text}})
    numbers = itertools.count()  # by which clients join the lists of words
    for block in with_words(base64_chunks(answer.encoder.stream(samples, answer.format)), watched.words):
        if isinstance(block, str):
            yield chunk({"audio": {"data": block}})
        elif wanted.wants_words:
            times = [{"index": next(numbers), **word.model_dump()} for word in spoken_words(block)]
            yield chunk({"audio": {"words": times}})
    if watched.words and wanted.caption_format:
        yield chunk({"audio": {"captions": timed(wanted, watched.words.words).captions}})
    speech = watched.stream.finished()
    expires_at = kept.keep(answer.owner, answer.audio_id, watched.flac.close(), without_pauses(answer.text))
    yield chunk({"audio": {"expires_at": expires_at}})
    quality = quality_of(watched.track, answer.text, speech.texts).model_dump()
    yield chunk({}, speech.finish_reason, seed=speech.seed, quality=quality)
    if include_usage:
        yield sse({**base, "choices": [], "usage": usage_of(speech).model_dump()})
    yield DONE


def usage_of(speech: Speech | SpeechReport) -> Usage:
    prompt = speech.prompt_text_tokens + speech.prompt_audio_tokens
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=speech.completion_audio_tokens,
        total_tokens=prompt + speech.completion_audio_tokens,
        prompt_tokens_details=PromptTokens(
            audio_tokens=speech.prompt_audio_tokens, text_tokens=speech.prompt_text_tokens
        ),
        completion_tokens_details=CompletionTokens(audio_tokens=speech.completion_audio_tokens),
    )
