"""What was spoken: samples, the time of each text in them, and the report."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from audio.frames import SAMPLE_RATE


@dataclass(frozen=True, eq=False)
class SpokenText:
    """The text of a chunk, and when it is spoken.

    Attributes:
        start, end: in seconds of Speech.as_spoken.
        heard: start in seconds of Speech.samples, with pauses and tempo.
        tempo: playback speed; 2 is twice as fast.
        codes: its codes (8, T) so far; None if unknown.
        whole: whether these are all of its codes.
        until: when its sound has ended, as `heard`: silence before a pause is cut. None until known.
    """

    text: str
    start: float
    end: float
    heard: float = 0.0
    tempo: float = 1.0
    codes: torch.Tensor | None = None
    whole: bool = True
    until: float | None = math.inf


@dataclass(frozen=True, kw_only=True)
class SpeechReport:
    """How a speech ended, and what it cost.

    Attributes:
        finish_reason: "stop" if all of the text was spoken; "length" if a limit ended it.
        prompt_text_tokens, prompt_audio_tokens: prompt positions.
        completion_audio_tokens: frames of 40 ms.
        seed: reproduces the speech.
        texts: the texts as given to the model; empty if unknown.
    """

    finish_reason: Literal["stop", "length"]
    prompt_text_tokens: int
    prompt_audio_tokens: int
    completion_audio_tokens: int
    seed: int
    texts: tuple[SpokenText, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Speech(SpeechReport):
    """A complete speech: samples float32 (N,) at 24 kHz; as_spoken: the same before pauses and filters."""

    samples: np.ndarray
    as_spoken: np.ndarray


class SampleBuffer:
    """Samples in one growing array, so that joining needs no second copy."""

    def __init__(self) -> None:
        self._samples = np.empty(SAMPLE_RATE, np.float32)
        self._length = 0

    def append(self, samples: np.ndarray) -> None:
        end = self._length + len(samples)
        if end > len(self._samples):
            grown = np.empty(max(end, len(self._samples) * 3 // 2), np.float32)
            grown[: self._length] = self._samples[: self._length]
            self._samples = grown
        self._samples[self._length : end] = samples
        self._length = end

    @property
    def samples(self) -> np.ndarray:
        return self._samples[: self._length]
