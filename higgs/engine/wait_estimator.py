"""How soon a full engine has a place again, by what its requests took so far."""

import math

WEIGHT = 0.2  # of the newest request; the speed follows the load within a few requests
MAX_WAIT_SECONDS = 60  # OpenAI's clients don't wait longer


class WaitEstimator:
    """Of an engine with so many slots."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._usual: float | None = None

    def note(self, seconds: float) -> None:
        """A request held its slot so long."""
        self._usual = seconds if self._usual is None else self._usual + WEIGHT * (seconds - self._usual)

    @property
    def seconds_to_a_slot(self) -> int:
        """Whole seconds, 1 to 60, until the next of the requests that speak is likely to leave."""
        return min(max(math.ceil((self._usual or 0.0) / self._slots), 1), MAX_WAIT_SECONDS)
