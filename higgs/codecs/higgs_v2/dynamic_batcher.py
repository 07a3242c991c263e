"""Batch concurrent calls of several threads."""

import threading
from collections.abc import Callable

import torch


class _Call:
    """One caller's input and result."""

    def __init__(self, given: torch.Tensor) -> None:
        self.given = given
        self.result: torch.Tensor | None = None


class DynamicBatcher:
    """Calls a function of a batch [B, …] → [B, …] with single rows, from any thread.

    While a batch is computed, later callers wait; the first of them then takes along all waiting rows of the
    same shape. So nobody waits for a batch to fill, and batches grow with the load. If a batch fails, e.g.
    for lack of memory, each row is tried alone.

    Args:
        function: computes a batch.
        max_elements: maximum number of elements in a batch of several rows.
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], max_elements: int) -> None:
        self._function, self._max_elements = function, max_elements
        self._waiting: list[_Call] = []
        self._changing, self._computing = threading.Lock(), threading.Lock()

    def __call__(self, row: torch.Tensor) -> torch.Tensor:
        """Return the function's result for one row."""
        call = _Call(row)
        with self._changing:
            self._waiting.append(call)
        with self._computing:
            if call.result is None:
                self._compute(self._taken_along(call))
        assert call.result is not None
        return call.result

    def _taken_along(self, call: _Call) -> list[_Call]:
        with self._changing:
            alike = [
                other
                for other in self._waiting
                if other.given.shape == call.given.shape and other is not call
            ]
            batch = [call, *alike[: max(1, self._max_elements // call.given.numel()) - 1]]
            self._waiting = [other for other in self._waiting if other not in batch]
        return batch

    def _compute(self, batch: list[_Call]) -> None:
        """Compute at least the first call of the batch; calls left without a result compute themselves."""
        try:
            results = self._function(torch.stack([call.given for call in batch]))
        except RuntimeError:
            if len(batch) == 1:
                raise
            return self._compute(batch[:1])
        for call, result in zip(batch, results, strict=True):
            call.result = result
