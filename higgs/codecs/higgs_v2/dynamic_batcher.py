"""Calls from several threads, computed as one batch."""

import threading
from collections.abc import Callable

import torch


class _Call:
    """One caller's input, and what came of it."""

    def __init__(self, given: torch.Tensor) -> None:
        self.given = given
        self.result: torch.Tensor | None = None


class DynamicBatcher:
    """A function of a batch [B, …] → [B, …], called row by row from any thread.

    While one batch is computed, the callers behind it wait, and the first of them takes along all whose rows
    have the shape of its own. So nobody waits for company, and the busier it is the larger the batches are.
    Where a batch fails, for want of memory say, each of its rows is tried alone.

    most: numbers that a batch may hold, if it has more than one row.
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], most: int) -> None:
        self._function, self._most = function, most
        self._waiting: list[_Call] = []
        self._changing, self._computing = threading.Lock(), threading.Lock()

    def __call__(self, row: torch.Tensor) -> torch.Tensor:
        """The function's row for a row."""
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
            batch = [call, *alike[: max(1, self._most // call.given.numel()) - 1]]
            self._waiting = [other for other in self._waiting if other not in batch]
        return batch

    def _compute(self, batch: list[_Call]) -> None:
        """The result of the first of a batch at least; the others without one compute for themselves."""
        try:
            results = self._function(torch.stack([call.given for call in batch]))
        except RuntimeError:
            if len(batch) == 1:
                raise
            return self._compute(batch[:1])
        for call, result in zip(batch, results, strict=True):
            call.result = result
