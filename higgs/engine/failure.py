"""When an engine should give up: the device is lost, or requests keep failing."""

import logging
import threading
from collections.abc import Callable

import torch

from errors import EngineFailed

log = logging.getLogger(__name__)

MAX_FAILURES = 5  # consecutive failures after which the engine gives up
Failed = Callable[[EngineFailed], None]


def is_lost(error: BaseException) -> bool:
    """Return whether an error makes the device unusable for this process, e.g. a failed kernel assertion."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    return isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error)


class FailureWatch:
    """Counts consecutive failures; `failed` is the reason to give up, or None."""

    def __init__(self) -> None:
        self.failed: EngineFailed | None = None
        self._in_a_row = 0
        self._lock = threading.Lock()
        self._act: Failed | None = None

    def note(self, error: Exception) -> None:
        """Record a failed step."""
        self._in_a_row += 1
        lost = is_lost(error)
        if lost or self._in_a_row >= MAX_FAILURES:
            why = "The device is lost" if lost else f"The model failed {self._in_a_row} times in a row"
            log.critical("%s; the engine has given up: %s", why, error)
            self.failed = EngineFailed(f"{why}: {error}. The server must be restarted.")

    def note_success(self) -> None:
        """Record a successful request."""
        self._in_a_row = 0

    def when_failed(self, act: Failed) -> None:
        """Register `act` for the next `tell`; call it at once if the engine has already failed."""
        with self._lock:
            self._act = act
        if self.failed is not None:
            self.tell()

    def tell(self) -> None:
        """Call the registered callback, once, after the engine has failed all requests."""
        with self._lock:
            act, self._act = self._act, None
        if act is not None and self.failed is not None:
            act(self.failed)
