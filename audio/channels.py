"""Many channels → one: their average, but one alone where the channels cancel each other out."""

import numpy as np

# Independent channels average to the sum of their powers over the square of their number. Less than a tenth
# of that is cancellation, such as of a channel whose wires are swapped; it is over at a fifth.
CANCELLED, AUDIBLE_AGAIN = 0.1, 0.2
LOUDER = 4.0  # times the power at which another channel takes over, so that equal ones don't take turns
FADE_SECONDS = 0.02


class Downmix:
    """Mixes the blocks of one recording, some tenths of a second each; remembers which channel it took."""

    def __init__(self) -> None:
        self._channel: int | None = None
        self._begun = False

    def mono(self, values: np.ndarray, rate: int) -> np.ndarray:
        """Mix a block of channels float (C, n) at `rate` Hz into float32 (n,)."""
        average = values.mean(axis=0)
        if len(values) == 1 or not len(average):
            return average.astype(np.float32)
        before, self._channel = self._channel, self._choice(values, average)
        mixed = average if self._channel is None else values[self._channel].copy()
        if self._begun and self._channel != before:
            count = min(len(mixed), int(FADE_SECONDS * rate))
            fade = np.linspace(0, 1, count, dtype=np.float32)
            left = average[:count] if before is None else values[before, :count]
            mixed[:count] = mixed[:count] * fade + left * (1 - fade)
        self._begun = True
        return mixed.astype(np.float32)

    def _choice(self, values: np.ndarray, average: np.ndarray) -> int | None:
        """The channel to take alone, None for the average; as before where the block is silent."""
        powers = np.square(values, dtype=np.float64).mean(axis=1)
        if not powers.any():
            return self._channel
        loudest = int(powers.argmax())
        share = float(np.square(average, dtype=np.float64).mean()) * len(powers) ** 2 / float(powers.sum())
        if self._channel is None:
            return loudest if share < CANCELLED else None
        if share > AUDIBLE_AGAIN:
            return None
        return loudest if powers[loudest] > LOUDER * powers[self._channel] else self._channel
