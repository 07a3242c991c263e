"""What was spoken so far: samples, and the place of each text in them."""

from dataclasses import dataclass

import numpy as np
import torch

from audio.frames import SAMPLE_RATE


@dataclass(frozen=True, eq=False)
class SpokenText:
    """A text that was spoken in one go, and where it stands in Speech.as_spoken, in seconds.

    codes: (8, T) of it, as far as they are there; None where they aren't known. whole: all of them are.
    heard: where it begins in what is heard, pauses and tempo counted, in seconds; tempo: times as fast.
    """

    text: str
    start: float
    end: float
    heard: float = 0.0
    tempo: float = 1.0
    codes: torch.Tensor | None = None
    whole: bool = True


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
