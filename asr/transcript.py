"""What was said and when: the words, segments and transcripts that every recogniser gives."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

SAMPLE_RATE = 16_000  # what recognisers hear


@dataclass(frozen=True)
class Word:
    """A word, when it is said (seconds), and how sure the recogniser is (0..1)."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Segment:
    """A stretch of speech in seconds; `words` are empty where none were asked for.

    text: with the space before it, in languages that have one, so that texts are joined as they are.
    mean_log_probability: of the tokens or words. no_speech_probability: 0 where the recogniser doesn't tell.
    tokens: ids in the recogniser's own vocabulary, if it has one. temperature: that of the sampling.
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
        """The same, so many seconds later."""
        words = tuple(
            replace(word, start=word.start + seconds, end=word.end + seconds) for word in self.words
        )
        return replace(self, start=self.start + seconds, end=self.end + seconds, words=words)


@dataclass(frozen=True)
class Transcript:
    """All that was said in a recording of so many seconds. language: its ISO 639 code."""

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
class Task:
    """How to listen.

    language: ISO 639 code of what is spoken; None: the recogniser finds out. translate: into English.
    prompt: words that may come, or what was said before. words: whether to say when each word is spoken.
    temperature: 0 takes the likeliest words, and others only where those come out badly.
    """

    language: str | None = None
    translate: bool = False
    prompt: str | None = None
    words: bool = False
    temperature: float = 0.0


@dataclass(frozen=True)
class Heard:
    """What a recogniser heard in one window. Recognisers count times from the window's start."""

    language: str
    segments: tuple[Segment, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


class Recogniser(Protocol):
    """One loaded recogniser of speech.

    languages: code → English name of each. translates: whether other languages can come out in English.
    trust: the share of wrong words up to which it can be the recogniser's own mistake.
    """

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> Mapping[str, str]: ...

    @property
    def translates(self) -> bool: ...

    @property
    def expected_wer(self) -> float: ...

    def hear(self, samples: np.ndarray, task: Task) -> Heard:
        """The words in mono float32 samples (N,) at 16 kHz, 30 s at most."""

    def close(self) -> None:
        """Let go of what it holds."""
