"""Estimates when a full engine has a free slot, from how long its requests took."""

import math

WEIGHT = 0.2  # of the latest request, so that the estimate follows the load within a few requests
MAX_WAIT_SECONDS = 60  # OpenAI's clients don't wait longer


class WaitEstimator:
    """Estimator for an engine with `slots` slots."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._usual: float | None = None

    def note(self, seconds: float) -> None:
        """Record for how long a request held its slot."""
        self._usual = seconds if self._usual is None else self._usual + WEIGHT * (seconds - self._usual)

    @property
    def seconds_to_a_slot(self) -> int:
        """Whole seconds, 1 to 60, until a running request is likely to finish."""
        return min(max(math.ceil((self._usual or 0.0) / self._slots), 1), MAX_WAIT_SECONDS)
