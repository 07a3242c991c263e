"""Levels of sound over time: where there is any, where it is loud, and where it pauses.

Whether a sound is a voice, audio.voice_activity tells.
"""

import numpy as np

from audio.frames import SAMPLE_RATE

FRAME = SAMPLE_RATE // 50
STEP = SAMPLE_RATE // 100
STEPS_PER_SECOND = SAMPLE_RATE // STEP
# The loudness of a recording is the level that its loudest 0.2 s reach; 40 dB below it there is no speech.
LOUD_FRAMES = 20
SPEECH_RANGE_DB = 40.0
BLOCK = 60 * STEPS_PER_SECOND  # steps that are summed at once


class LevelMeter:
    """The level of each 20 ms frame in dB of full scale, one per 10 ms, of sound that comes piece by piece.

    The mean of a frame counts for nothing, since no ear hears it. step: samples in 10 ms.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        self.step = sample_rate // STEPS_PER_SECOND
        self._sums: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []
        self._held = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> None:
        """Take mono float32 samples (n,), any number of them."""
        samples = np.concatenate([self._held, samples]) if len(self._held) else samples
        whole = len(samples) // self.step * self.step
        for start in range(0, whole, BLOCK * self.step):
            steps = (
                samples[start : min(start + BLOCK * self.step, whole)]
                .astype(np.float64)
                .reshape(-1, self.step)
            )
            self._sums.append(steps.sum(axis=1))
            self._squares.append(np.einsum("ij,ij->i", steps, steps))
        self._held = samples[whole:].copy()

    @property
    def levels(self) -> np.ndarray:
        """Of all frames that are whole by now."""
        if not self._sums:
            return np.zeros(0)
        sums, squares = np.concatenate(self._sums), np.concatenate(self._squares)
        mean, power = (sums[:-1] + sums[1:]) / (2 * self.step), (squares[:-1] + squares[1:]) / (2 * self.step)
        return 10 * np.log10(np.maximum(power - mean**2, 1e-12))


def speech_levels(samples: np.ndarray) -> np.ndarray:
    """The levels (F,) of mono float32 samples (N,) at 24 kHz, as of LevelMeter."""
    meter = LevelMeter()
    meter.push(samples)
    return meter.levels


def loudness_of(levels: np.ndarray) -> float:
    """The level in dB that the loudest 0.2 s of a recording reach."""
    return float(np.partition(levels, -LOUD_FRAMES)[-LOUD_FRAMES])


def sound_bounds(levels: np.ndarray, threshold: float) -> tuple[int, int]:
    """First and last sample of what is as loud as the threshold."""
    loud_frames = np.flatnonzero(levels >= threshold)
    return int(loud_frames[0]) * STEP, int(loud_frames[-1]) * STEP + FRAME


def runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each run of True begins, and where it ends."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
