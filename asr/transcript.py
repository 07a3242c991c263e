"""Words, segments and transcripts: the results of every recogniser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

SAMPLE_RATE = 16_000  # Hz, the input of every recogniser
Span = tuple[float, float]  # from when to when, in seconds


@dataclass(frozen=True)
class Word:
    """A word with its start and end in seconds and its probability, 0 to 1."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Segment:
    """A segment of speech from `start` to `end`, in seconds.

    Attributes:
        text: with a leading space in languages that use spaces, so that texts can be concatenated.
        words: empty unless requested.
        tokens: ids in the recogniser's vocabulary, if it has one.
        mean_log_probability: over the tokens or words.
        no_speech_probability: 0 if the recogniser gives none.
        temperature: used for sampling.
    """

    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()
    tokens: tuple[int, ...] = ()
    mean_log_probability: float = 0.0
    no_speech_probability: float = 0.0
    temperature: float = 0.0

    def later(self, seconds: float) -> "Segment":
        """The segment shifted by `seconds`."""
        words = tuple(
            replace(word, start=word.start + seconds, end=word.end + seconds) for word in self.words
        )
        return replace(self, start=self.start + seconds, end=self.end + seconds, words=words)


@dataclass(frozen=True)
class Transcript:
    """The transcript of a recording of `seconds`; `language` is an ISO 639 code."""

    language: str
    seconds: float
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)


@dataclass(frozen=True)
class Chunking:
    """How voice activity detection cuts a recording into the chunks that are transcribed one by one.

    Attributes:
        threshold: probability from which on sound counts as speech, 0 to 1.
        padding_seconds: of the sound before speech that belong to its chunk.
        silence_seconds: of silence that end a chunk.
    """

    threshold: float
    padding_seconds: float
    silence_seconds: float


@dataclass(frozen=True)
class Task:
    """What to transcribe, and how.

    Attributes:
        language: ISO 639 code; None to detect it.
        translate: translate into English.
        prompt: expected words, or the preceding text.
        words: return word times.
        temperature: for sampling; 0 is greedy, with higher temperatures as fallbacks.
        chunking: None to cut long recordings at pauses by their level.
    """

    language: str | None = None
    translate: bool = False
    prompt: str | None = None
    words: bool = False
    temperature: float = 0.0
    chunking: Chunking | None = None


@dataclass(frozen=True)
class WindowTranscript:
    """The result for one window. A recogniser's times are relative to the window."""

    language: str
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


class Recogniser(Protocol):
    """A loaded speech recogniser.

    Attributes:
        languages: ISO 639 code → English name.
        translates: whether it can translate into English.
        expected_wer: the word error rate to expect on correct speech.
    """

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> Mapping[str, str]: ...

    @property
    def translates(self) -> bool: ...

    @property
    def expected_wer(self) -> float: ...

    def transcribe(self, samples: np.ndarray, task: Task) -> WindowTranscript:
        """Transcribe mono float32 samples (N,) at 16 kHz, 30 s at most."""

    def align(self, samples: np.ndarray, words: Sequence[str]) -> Sequence[Span | None]:
        """Return when each word is said, given all words of the samples in order (forced alignment).

        samples: as of `transcribe`. None for words that aren't found; all None if the words don't match.
        """

    def close(self) -> None:
        """Free its resources."""
