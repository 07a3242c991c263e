"""Trailing silence of generated speech: held back while streaming, and dropped.

Silence is judged in 10 ms steps from the start, so chunking doesn't change the result.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from audio.activity import STEP
from audio.frames import SAMPLE_RATE

QUIET_DB = -50.0  # dBFS; speech is at -30 to -10
KEPT = int(0.3 * SAMPLE_RATE)  # silence kept after the last sound
DEAD = 3 * SAMPLE_RATE  # silence after which no more speech is expected
UNIT = SAMPLE_RATE // 25  # output is cut at codec frames


class Sounding:
    """Finds sound in a stream of float32 samples (n,) at 24 kHz.

    Attributes:
        position: samples analysed.
        end: the end of the last sound, in samples.
    """

    def __init__(self) -> None:
        self.position, self.end = 0, 0
        self._held = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> list[int]:
        """Add samples; return the starts of the newly completed 10 ms steps that contain sound."""
        held = np.concatenate([self._held, samples])
        steps = held[: len(held) // STEP * STEP].reshape(-1, STEP)
        self._held = held[steps.size :].copy()
        loud = np.einsum("ij,ij->i", steps, steps) > STEP * 10 ** (QUIET_DB / 10)
        starts = (self.position + np.flatnonzero(loud) * STEP).tolist()
        self.position += steps.size
        self.end = starts[-1] + STEP if starts else self.end
        return starts


class DeadSound:
    """Detects 3 s of silence in a stream."""

    def __init__(self) -> None:
        self._sounding = Sounding()

    def push(self, samples: np.ndarray, since: int) -> int | None:
        """Add samples; return the sample at which 3 s of silence are reached, or None.

        Args:
            samples: float32 (n,) at 24 kHz.
            since: silence before this sample doesn't count.
        """
        end = self._sounding.end
        for start in [*self._sounding.push(samples), self._sounding.position]:
            quiet = max(end, since)
            if start - quiet >= DEAD:
                return quiet + DEAD
            end = start + STEP
        return None

    @property
    def sounding(self) -> int:
        """The end of the last sound, in samples."""
        return self._sounding.end


def without_quiet_end(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the samples without the silence at their end, of which 0.3 s are kept.

    Silence beyond 0.3 s is held back until sound follows. If the input comes in whole 40 ms frames, so does
    the output.
    """
    sounding, held, given, came = Sounding(), np.zeros(0, np.float32), 0, 0
    for samples in chunks:
        sounding.push(samples)
        held = np.concatenate([held, samples])
        came += len(samples)
        count = min(max(_frames(sounding.end + KEPT) - given, 0), len(held))
        if count:
            yield held[:count]
        held, given = held[count:].copy(), given + count
    # The last samples may not fill a 10 ms step: they are kept if they belong to the last sound.
    if len(held) and came - sounding.position and came - sounding.end <= KEPT:
        yield held


def _frames(samples: int) -> int:
    """Round a number of samples up to whole frames."""
    return -(-samples // UNIT) * UNIT
