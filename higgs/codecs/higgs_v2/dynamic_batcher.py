"""Batch the work of many threads in one thread."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Call(Generic[Row, Result]):
    size: int
    row: Row
    future: "Future[Result]" = field(default_factory=Future)


class DynamicBatcher(Generic[Row, Result]):
    """Computes rows from any thread, in a thread of its own, which ends when nothing refers to the batcher.

    While a batch is computed, later rows wait; then the first of them takes along all waiting rows of its
    size. So nobody waits for a batch to fill, and batches grow with the load. A row that is cancelled while
    it waits is not computed. If a batch fails, e.g. for lack of memory, each row is tried alone.

    Args:
        function: rows of one size → their results.
        max_rows: size → maximum number of rows in a batch.
    """

    def __init__(
        self, function: Callable[[Sequence[Row]], Sequence[Result]], max_rows: Callable[[int], int]
    ) -> None:
        self._function, self._max_rows = function, max_rows
        self._waiting: list[_Call[Row, Result]] = []
        self._changing = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="codec")

    def submit(self, row: Row, size: int) -> "Future[Result]":
        """Queue a row; cancel the future to take it back."""
        call = _Call[Row, Result](size, row)
        with self._changing:
            self._waiting.append(call)
        self._thread.submit(self._compute_next)
        return call.future

    def run(self, work: Callable[[], None]) -> None:
        """Do something in the thread of the batches, and wait for it."""
        self._thread.submit(work).result()

    def _compute_next(self) -> None:
        """Compute a batch. Called once for each row: in vain for those that others took along."""
        if batch := self._take():
            self._compute(batch)

    def _take(self) -> list[_Call[Row, Result]]:
        """Take the first waiting row and those that it takes along; forget those that were cancelled."""
        with self._changing:
            left = [call for call in self._waiting if not call.future.cancelled()]
            alike = [call for call in left if call.size == left[0].size]
            taken = alike[: self._max_rows(left[0].size)] if left else []
            self._waiting = [call for call in left if call not in taken]
        return [call for call in taken if call.future.set_running_or_notify_cancel()]

    def _compute(self, batch: list[_Call[Row, Result]]) -> None:
        try:
            results = self._function([call.row for call in batch])
        except Exception as error:
            if len(batch) == 1:
                return batch[0].future.set_exception(error)
            for call in batch:
                self._compute([call])
            return
        for call, result in zip(batch, results, strict=True):
            call.future.set_result(result)
