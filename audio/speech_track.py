"""What the checks of generated speech need, recorded while the speech is streamed.

Five minutes of samples are 29 MB, and their spectra ten times that while they are computed. This record is
2 MB, and leaves little work for the end of the speech.
"""

from itertools import pairwise

import numpy as np

from audio.activity import LevelMeter
from audio.frames import SAMPLE_RATE

HOP, WINDOW, BANDS = SAMPLE_RATE // 50, 1024, 24
FULL_SCALE = 0.999
CLIPPED_RUN = 3  # samples; a single sample at full scale is not clipping
BLOCK = 10 * SAMPLE_RATE  # samples processed at once


class SpeechTrack:
    """Levels, spectra and clipping of a stream: `push` all samples, then `close`. Chunking has no effect.

    Attributes:
        samples: number of samples.
        flat, first_flat, last_flat: number of samples in runs at full scale, the first one, and the end of
            the last run.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.flat, self.first_flat, self.last_flat = 0, 0, 0
        self._meter = LevelMeter()
        self._spectra: list[np.ndarray] = []
        self._held = np.empty(0, np.float32)  # samples from the first incomplete frame on
        self._begun = 0  # index of the first of them

    def push(self, samples: np.ndarray) -> None:
        """Add float32 samples (n,) at 24 kHz."""
        for start in range(0, len(samples), BLOCK):
            self._push(samples[start : start + BLOCK])

    def close(self) -> None:
        """Process the remaining samples, which don't fill a frame."""
        self._note_flat(self._held)
        self._held = np.empty(0, np.float32)

    @property
    def levels(self) -> np.ndarray:
        """See speech_levels."""
        return self._meter.levels

    @property
    def spectra(self) -> np.ndarray:
        """See log_spectra."""
        return np.concatenate([np.empty((0, BANDS), np.float32), *self._spectra])

    def _push(self, samples: np.ndarray) -> None:
        self.samples += len(samples)
        self._meter.push(samples)
        held = np.concatenate([self._held, samples])
        frames = (len(held) - WINDOW) // HOP + 1
        if frames > 0:
            end = frames * HOP
            self._spectra.append(log_spectra(held[: end - HOP + WINDOW]))
            self._note_flat(held[: end + CLIPPED_RUN - 1])
            held = held[end:].copy()
            self._begun += end
        self._held = held

    def _note_flat(self, samples: np.ndarray) -> None:
        """Count runs at full scale. `samples`: possible starts of runs, and CLIPPED_RUN - 1 more."""
        if len(samples) < CLIPPED_RUN:
            return
        full = np.abs(samples) >= FULL_SCALE
        where = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(full, CLIPPED_RUN).all(axis=1))
        if len(where):
            self.first_flat = self.first_flat if self.flat else self._begun + int(where[0])
            self.last_flat = self._begun + int(where[-1]) + CLIPPED_RUN
            self.flat += len(where)


def log_spectra(samples: np.ndarray) -> np.ndarray:
    """Return the spectrum in dB of each 20 ms, in 24 mel bands up to 8 kHz (frames, 24)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(WINDOW).astype(np.float32))))
    mels = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), BANDS + 1)
    edges = np.round(700 * (10 ** (mels / 2595) - 1) * WINDOW / SAMPLE_RATE).astype(int)
    bands = [power[:, low : max(high, low + 1)].mean(axis=1) for low, high in pairwise(edges)]
    return 10 * np.log10(np.stack(bands, axis=1) + 1e-8)
