"""When an engine should give up: the device is lost, or requests fail again and again."""

import logging
import threading
from collections.abc import Callable

import torch

from errors import EngineFailed

log = logging.getLogger(__name__)

MAX_FAILURES = 5  # in a row, after which the engine gives up
Failed = Callable[[EngineFailed], None]


def is_lost(error: BaseException) -> bool:
    """Whether an error leaves the device unusable for this process, as a kernel's failed assertion does."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    return isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error)


class FailureWatch:
    """Counts failures; `failed` says why to give up, and is None until then."""

    def __init__(self) -> None:
        self.failed: EngineFailed | None = None
        self._in_a_row = 0
        self._lock = threading.Lock()
        self._act: Failed | None = None

    def note(self, error: Exception) -> None:
        """A request failed, or several with one step."""
        self._in_a_row += 1
        lost = is_lost(error)
        if lost or self._in_a_row >= MAX_FAILURES:
            why = "The device is lost" if lost else f"The model failed {self._in_a_row} times in a row"
            log.critical("%s; the engine has given up: %s", why, error)
            self.failed = EngineFailed(f"{why}: {error}. The server must be started again.")

    def note_success(self) -> None:
        """A request came to a good end."""
        self._in_a_row = 0

    def when_failed(self, act: Failed) -> None:
        """Have `act` called by the next `tell`; at once where it is too late for that."""
        with self._lock:
            self._act = act
        if self.failed is not None:
            self.tell()

    def tell(self) -> None:
        """Once the engine has let everyone go: call what waits for its failure, once."""
        with self._lock:
            act, self._act = self._act, None
        if act is not None and self.failed is not None:
            act(self.failed)
