"""What was spoken so far: samples, and the place of each text in them."""

from dataclasses import dataclass

import numpy as np

from audio.frames import SAMPLE_RATE


@dataclass(frozen=True)
class SpokenText:
    """A text that was spoken in one go, and where it stands in Speech.as_spoken, in seconds."""

    text: str
    start: float
    end: float


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
