"""Pauses between text chunks that are one run of sound."""

from collections.abc import Iterator

import numpy as np

FADE = np.linspace(0, 1, 120, dtype=np.float32)  # 5 ms at 24 kHz


class ChunkPauses:
    """Inserts silence into a stream of samples between chunks.

    A decoder holds samples back until later frames arrive, so a chunk's end is known before its last samples
    come out: they fade out, and those after the pause fade in.
    """

    def __init__(self) -> None:
        self._position = 0  # samples so far, without pauses
        self._ends: list[tuple[int, int]] = []
        self._after_pause = False

    def note(self, position: int, pause: int) -> None:
        """Insert `pause` samples of silence at this position, where a chunk ends and another follows."""
        if pause:
            self._ends.append((position, pause))

    def around(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the samples with the silence between them."""
        while self._ends and self._ends[0][0] <= self._position + len(samples):
            end, pause = self._ends.pop(0)
            before, samples = np.split(samples, [end - self._position])
            self._position = end
            yield _faded_in(self._next(before)[::-1])[::-1]
            yield np.zeros(pause, np.float32)
            self._after_pause = True
        self._position += len(samples)
        yield self._next(samples)

    def _next(self, samples: np.ndarray) -> np.ndarray:
        """Return the next samples, faded in after a pause."""
        if not self._after_pause or not len(samples):
            return samples
        self._after_pause = False
        return _faded_in(samples)


def _faded_in(samples: np.ndarray) -> np.ndarray:
    count = min(len(FADE), len(samples))
    return np.concatenate([samples[:count] * FADE[:count], samples[count:]])
