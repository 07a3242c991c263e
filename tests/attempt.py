"""A piece of speech, and what an ear would notice of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from asr.words import words_of, wrong_words
from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from audio.pitch import median_pitch
from bench.listening import words_heard


@dataclass(frozen=True)
class Attempt:
    """One piece of speech: what was to be said, float32 mono 24 kHz samples, and how long the server took."""

    name: str
    text: str
    samples: np.ndarray
    latency_seconds: float | None = None
    model: str | None = None

    @cached_property
    def pitch_hertz(self) -> float:
        pitch = median_pitch(self.samples, SAMPLE_RATE)
        if pitch is None:
            raise ValueError(f"{self.name}: no voiced speech in {self.seconds:.1f} s of audio")
        return pitch

    @cached_property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @cached_property
    def wrong_words(self) -> int:
        return wrong_words(words_of(self.text), words_heard(self.samples))


def read(path: Path) -> Attempt:
    """A recording, with its transcript where a .txt file stands beside it."""
    transcript = path.with_suffix(".txt")
    text = transcript.read_text().strip() if transcript.exists() else ""
    return Attempt(path.name, text, decode_audio(path.read_bytes()))
