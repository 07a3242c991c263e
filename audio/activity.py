"""Sound levels over time: loudness, pauses, and where sound begins and ends.

Levels don't tell speech from other sound; audio.voice_activity does.
"""

import numpy as np

from audio.frames import SAMPLE_RATE

FRAME = SAMPLE_RATE // 50
STEP = SAMPLE_RATE // 100
STEPS_PER_SECOND = SAMPLE_RATE // STEP
# A recording's loudness is the level that its loudest 0.2 s reach. Speech is never 40 dB below it.
LOUD_FRAMES = 20
SPEECH_RANGE_DB = 40.0
BLOCK = 60 * STEPS_PER_SECOND  # steps per block, to bound memory


class LevelMeter:
    """Levels in dBFS of 20 ms frames, one every 10 ms, of audio that arrives in chunks.

    The mean of a frame is subtracted: a DC offset is inaudible.

    Attributes:
        step: samples per 10 ms.
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        self.step = sample_rate // STEPS_PER_SECOND
        self._sums: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []
        self._held = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> None:
        """Add mono float32 samples (n,); any n."""
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
        """Levels (F,) of all complete frames so far."""
        if not self._sums:
            return np.zeros(0)
        sums, squares = np.concatenate(self._sums), np.concatenate(self._squares)
        mean, power = (sums[:-1] + sums[1:]) / (2 * self.step), (squares[:-1] + squares[1:]) / (2 * self.step)
        return 10 * np.log10(np.maximum(power - mean**2, 1e-12))


def speech_levels(samples: np.ndarray) -> np.ndarray:
    """Return the levels (F,) of mono float32 samples (N,) at 24 kHz; see LevelMeter."""
    meter = LevelMeter()
    meter.push(samples)
    return meter.levels


def loudness_of(levels: np.ndarray, frames: int = LOUD_FRAMES) -> float:
    """Return the level in dB that the loudest frames, 0.2 s by default, of a recording reach."""
    return float(np.partition(levels, -frames)[-frames])


def sound_bounds(levels: np.ndarray, threshold: float) -> tuple[int, int]:
    """Return the first sample and the end of the sound that is at least as loud as `threshold` (dB)."""
    loud_frames = np.flatnonzero(levels >= threshold)
    return int(loud_frames[0]) * STEP, int(loud_frames[-1]) * STEP + FRAME


def runs(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and end indices of each run of True."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)


def joined_runs(flags: np.ndarray, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the start and end indices of each run of True; runs less than `gap` apart are one."""
    first, end = runs(flags)
    apart = first[1:] - end[:-1] >= gap
    starts, ends = np.concatenate([[True], apart]), np.concatenate([apart, [True]])
    return first[starts[: len(first)]], end[ends[: len(end)]]
