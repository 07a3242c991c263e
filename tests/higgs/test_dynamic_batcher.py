"""Rows of several threads that one thread computes in batches."""

import gc
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future

import pytest

from higgs.codecs.higgs_v2.dynamic_batcher import DynamicBatcher


class Slow:
    """Doubles its rows; its first batch is held up until `go`. Fails at a negative number."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, rows: Sequence[int]) -> list[int]:
        self.batches.append(list(rows))
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        assert self.go.wait(10)
        if min(rows) < 0:
            raise RuntimeError("a negative number")
        return [2 * row for row in rows]


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def batcher(slow: Slow) -> DynamicBatcher[int, int]:
    """One that is busy with a row of another size."""
    batcher = DynamicBatcher(slow, max_rows=lambda size: 3)
    batcher.submit(0, size=9)
    assert slow.begun.wait(10)
    return batcher


def outcomes(futures: list[Future[int]]) -> list[int | str]:
    return [str(error) if (error := future.exception(10)) else future.result() for future in futures]


def test_rows_that_wait_are_computed_at_once_by_one_thread_and_each_gets_its_own(
    slow: Slow, batcher: DynamicBatcher[int, int]
) -> None:
    futures = [batcher.submit(row, size=4) for row in (1, 2, 3)]
    slow.go.set()
    assert outcomes(futures) == [2, 4, 6]
    assert slow.batches == [[0], [1, 2, 3]]
    assert slow.threads == {"codec_0"}


def test_only_rows_of_one_size_share_a_batch_no_more_than_fit_and_the_oldest_goes_first(
    slow: Slow, batcher: DynamicBatcher[int, int]
) -> None:
    futures = [batcher.submit(row, size) for row, size in ((1, 4), (2, 7), (3, 4), (4, 4), (5, 4), (6, 7))]
    slow.go.set()
    assert outcomes(futures) == [2, 4, 6, 8, 10, 12]
    assert slow.batches == [[0], [1, 3, 4], [2, 6], [5]]


def test_a_row_that_fails_harms_nobody_else(slow: Slow, batcher: DynamicBatcher[int, int]) -> None:
    futures = [batcher.submit(row, size=4) for row in (1, -2, 3)]
    slow.go.set()
    assert outcomes(futures) == [2, "a negative number", 6]
    assert slow.batches == [[0], [1, -2, 3], [1], [-2], [3]]
    assert batcher.submit(4, size=4).result(10) == 8, "the thread goes on"


def test_a_row_that_is_cancelled_leaves_the_queue(slow: Slow, batcher: DynamicBatcher[int, int]) -> None:
    futures = [batcher.submit(row, size) for row, size in ((1, 4), (2, 4), (3, 7))]
    assert futures[0].cancel() and futures[2].cancel()
    slow.go.set()
    assert futures[1].result(10) == 4
    assert batcher.submit(5, size=4).result(10) == 10
    assert slow.batches == [[0], [2], [5]]
    with pytest.raises(CancelledError):
        futures[0].result(10)


def test_a_row_alone_waits_for_nobody(slow: Slow) -> None:
    slow.go.set()
    batcher = DynamicBatcher(slow, max_rows=lambda size: 1)
    assert [batcher.submit(row, size=1).result(10) for row in range(3)] == [0, 2, 4]


def test_the_thread_ends_with_the_batcher(slow: Slow) -> None:
    """A model that is unloaded leaves its memory."""
    slow.go.set()
    batcher = DynamicBatcher(slow, max_rows=lambda size: 1)
    batcher.submit(1, size=1).result(10)
    (thread,) = batcher._thread._threads
    del batcher
    gc.collect()
    deadline = time.monotonic() + 10
    while thread.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)
