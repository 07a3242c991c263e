"""The dead sound that a model may leave behind a text: held back while it comes, and dropped.

Quiet is judged in steps of 10 ms from the beginning, so that it makes no difference in which pieces the sound
comes.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from audio.activity import STEP
from audio.frames import SAMPLE_RATE

QUIET_DB = -50.0  # of full scale; speech stands at -30 to -10
KEPT = int(0.3 * SAMPLE_RATE)  # behind the last sound
DEAD = 3 * SAMPLE_RATE  # of quiet, after which nobody waits for more
FADE = SAMPLE_RATE // 100  # at the beginning, where a wave may start anywhere
UNIT = SAMPLE_RATE // 25  # samples are kept by the codecs' frames


class Sounding:
    """Finds the sound in samples float32 (n,) at 24 kHz that come piece by piece.

    position: samples that were judged. end: of the last sound.
    """

    def __init__(self) -> None:
        self.position, self.end = 0, 0
        self._held = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> list[int]:
        """Where the steps with sound among those that are whole now begin."""
        held = np.concatenate([self._held, samples])
        steps = held[: len(held) // STEP * STEP].reshape(-1, STEP)
        self._held = held[steps.size :].copy()
        loud = np.einsum("ij,ij->i", steps, steps) > STEP * 10 ** (QUIET_DB / 10)
        starts = (self.position + np.flatnonzero(loud) * STEP).tolist()
        self.position += steps.size
        self.end = starts[-1] + STEP if starts else self.end
        return starts


class DeadSound:
    """Tells when it has been quiet for 3 s."""

    def __init__(self) -> None:
        self._sounding = Sounding()

    def push(self, samples: np.ndarray, since: int) -> int | None:
        """The sample at which it has been quiet for 3 s, counted from the beginning; None where it wasn't.

        since: quiet before this sample doesn't count.
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
        """Samples up to the end of the last sound."""
        return self._sounding.end


def without_quiet_end(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The samples but for the quiet at their end, of which 0.3 s stay.

    A quiet stretch is held back from its 0.3 s on, and follows if there is sound behind it. All is kept in
    whole frames of 40 ms where it comes in such.
    """
    sounding, held, given, came = Sounding(), np.zeros(0, np.float32), 0, 0
    for samples in pieces:
        sounding.push(samples)
        held = np.concatenate([held, samples])
        came += len(samples)
        count = min(max(_frames(sounding.end + KEPT) - given, 0), len(held))
        if count:
            yield held[:count]
        held, given = held[count:].copy(), given + count
    # The last samples of a stretch may not fill a step: they are kept if they belong to its last sound.
    if len(held) and came - sounding.position and came - sounding.end <= KEPT:
        yield held


def _frames(samples: int) -> int:
    """So many samples, rounded up to whole frames."""
    return -(-samples // UNIT) * UNIT


def faded(samples: np.ndarray, before: int) -> np.ndarray:
    """Samples of a stretch, of which so many came `before`: its first 10 ms fade in."""
    count = min(max(FADE - before, 0), len(samples))
    if not count:
        return samples
    changed = samples.astype(np.float32)
    changed[:count] *= np.arange(before, before + count, dtype=np.float32) / FADE
    return changed
