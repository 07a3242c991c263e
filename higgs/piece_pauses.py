"""The pauses between pieces that are one stretch of sound."""

from collections.abc import Iterator

import numpy as np

FADE = np.linspace(0, 1, 120, dtype=np.float32)  # 5 ms at 24 kHz


class PiecePauses:
    """Puts silence into a stream of samples, where one piece ends and the next begins.

    A decoder holds samples back until the frames behind them are there, so that a piece's end is known before
    its last samples come out: they fade out, and those behind the pause in.
    """

    def __init__(self) -> None:
        self._position = 0  # samples so far, pauses not counted
        self._ends: list[tuple[int, int]] = []
        self._after_pause = False

    def note(self, position: int, pause: int) -> None:
        """A piece ends at this sample and another follows; so many of silence stand between them."""
        if pause:
            self._ends.append((position, pause))

    def around(self, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The samples, and the silence between them."""
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
        """The samples that come out next, fading in behind a pause."""
        if not self._after_pause or not len(samples):
            return samples
        self._after_pause = False
        return _faded_in(samples)


def _faded_in(samples: np.ndarray) -> np.ndarray:
    count = min(len(FADE), len(samples))
    return np.concatenate([samples[:count] * FADE[:count], samples[count:]])
