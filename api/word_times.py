"""The word times of a speech for an answer: of a complete speech, or of one in progress."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from api.captions import captions
from api.schemas.timestamps import SpokenWord, Timed, Timestamps
from asr.transcriber import Transcriber
from audio.frames import SAMPLE_RATE
from errors import Cancelled, VoiceServerError
from higgs.codecs.base import Codec, reader_of
from higgs.speech import SpeechStream
from higgs.spoken import Speech
from synthesis.word_times import Align, Span, WordTime, WordTimes

log = logging.getLogger(__name__)

T = TypeVar("T")

DECIMALS = 3
MAX_HEADER = 4_096  # bytes, as vLLM-Omni has it


class SpokenWords:
    """The words of a speech in progress. Create it before the first samples are read, ask it between them."""

    def __init__(
        self, text: str, stream: SpeechStream, codec: Codec, transcriber: Transcriber, after: float = 0.0
    ) -> None:
        """text: as given to VoiceCloner.stream. after: seconds of audio before the speech."""
        self._stream, self._after = stream, after
        self._times = WordTimes(text, stream.texts(), reader_of(codec), aligner(transcriber))
        stream.watch(self._times.push)
        self.words: list[WordTime] = []  # all that were returned so far

    def ready(self) -> list[WordTime]:
        """Return the words whose times have become certain since the last call."""
        return self._shifted(self._times.ready(list(self._stream.texts())))

    def rest(self) -> list[WordTime]:
        """Return the remaining words, once the stream has ended."""
        return self._shifted(self._times.rest(list(self._stream.texts()), self._stream.seconds_heard))

    def _shifted(self, found: list[WordTime]) -> list[WordTime]:
        moved = [replace(word, start=word.start + self._after, end=word.end + self._after) for word in found]
        self.words += moved
        return moved


def with_words(chunks: Iterable[T], words: SpokenWords | None) -> Iterator[T | list[WordTime]]:
    """Yield the blocks of an answer and, between them, its words as soon as their times are certain."""
    for chunk in chunks:
        yield chunk
        if words and (found := words.ready()):
            yield found
    if words and (found := words.rest()):
        yield found


def words_of(text: str, speech: Speech, codec: Codec, transcriber: Transcriber) -> list[WordTime]:
    """Return the words of a complete speech. A forced aligner, if needed, takes a tenth of its duration."""
    times = WordTimes(text, speech.texts, reader_of(codec), aligner(transcriber))
    times.push(speech.as_spoken)
    return times.rest(speech.texts, len(speech.samples) / SAMPLE_RATE)


def timed(wanted: Timestamps, words: Sequence[WordTime]) -> Timed:
    """Return the word times in the requested forms."""
    return Timed(
        words=spoken_words(words) if wanted.wants_words else None,
        captions=captions(words, wanted.caption_format) if wanted.caption_format else None,
    )


def spoken_words(words: Sequence[WordTime]) -> list[SpokenWord]:
    return [
        SpokenWord(word=word.word, start=round(word.start, DECIMALS), end=round(word.end, DECIMALS))
        for word in words
    ]


def milliseconds(words: Sequence[WordTime]) -> list[dict[str, Any]]:
    """Return the words in vLLM-Omni's format."""
    return [
        {"word": word.word, "start_ms": round(1000 * word.start), "end_ms": round(1000 * word.end)}
        for word in words
    ]


def word_headers(words: Sequence[WordTime]) -> dict[str, str]:
    """Return vLLM-Omni's header for clients that get only a file, or one that says it would be too long."""
    value = json.dumps(milliseconds(words), separators=(",", ":"))
    if len(value) > MAX_HEADER:
        return {"x-word-timestamps-omitted": f"{len(words)} words; ask for timestamp_granularities"}
    return {"x-word-timestamps": value}


def aligner(transcriber: Transcriber) -> Align:
    """Return a function that aligns words with the recogniser.

    If that is unavailable, it finds no words, whose times are then estimated from their lengths.
    """

    def align(samples: np.ndarray, words: Sequence[str]) -> Sequence[Span | None]:
        try:
            return transcriber.align(samples, SAMPLE_RATE, words)
        except Cancelled:
            raise
        except VoiceServerError as error:
            log.warning("the times of %d words are estimated: %s", len(words), error)
            return [None] * len(words)

    return align
