"""Work that is called off, and work that many ask for at once."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from concurrency import (
    Cancellation,
    SingleFlight,
    acquired,
    cancelled_by,
    driven,
    on_cancel,
    raise_if_cancelled,
)
from errors import Cancelled, ModelError

WAIT = 30


def called_off(work: Callable[[], object], cancellation: Cancellation) -> threading.Thread:
    """A thread that does the work, which must end with Cancelled."""

    def run() -> None:
        with cancelled_by(cancellation), pytest.raises(Cancelled):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_many_ask_for_at_once_is_computed_once() -> None:
    flight: SingleFlight[str, int] = SingleFlight(max_size=4, max_concurrent=2)
    computed: list[int] = []

    def compute() -> int:
        time.sleep(0.05)
        computed.append(1)
        return 7

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: flight.get("a", compute), range(8))) == [7] * 8
    assert len(computed) == 1 and "a" in flight


def test_a_key_does_not_wait_for_another() -> None:
    """A kind of fault: one lock for all, held through the work on one of them."""
    flight: SingleFlight[str, int] = SingleFlight(max_size=4, max_concurrent=2)
    begun, over = threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert over.wait(WAIT)
        return 1

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flight.get, "slow", slow)
        assert begun.wait(WAIT)
        assert flight.get("quick", lambda: 2) == 2
        over.set()
        assert first.result(WAIT) == 1


def test_the_next_tries_where_the_first_failed_or_left() -> None:
    flight: SingleFlight[str, int] = SingleFlight(max_size=4, max_concurrent=1)

    def fail() -> int:
        raise ModelError("The model failed.")

    with pytest.raises(ModelError):
        flight.get("a", fail)
    cancellation = Cancellation()
    cancellation.cancel()
    called_off(lambda: flight.get("a", lambda: 1), cancellation).join(WAIT)
    assert flight.get("a", lambda: 2) == 2


def test_the_oldest_values_go() -> None:
    flight: SingleFlight[int, int] = SingleFlight(max_size=2, max_concurrent=1)
    for key in (1, 2, 1, 3):
        flight.get(key, lambda: 0)
    assert [key in flight for key in (1, 2, 3)] == [True, False, True]


def test_who_leaves_does_not_wait_on() -> None:
    """A kind of fault: threads of clients who left that go on waiting for a lock, one after the other."""
    places = threading.BoundedSemaphore(1)
    flight: SingleFlight[str, int] = SingleFlight(max_size=1, max_concurrent=1)
    over = threading.Event()

    def wait_for_place() -> None:
        with acquired(places):
            pass

    with ThreadPoolExecutor(1) as pool, acquired(places):
        working = pool.submit(flight.get, "a", lambda: int(over.wait(WAIT)))
        cancellation = Cancellation()
        waiting = [
            called_off(wait_for_place, cancellation),
            called_off(lambda: flight.get("a", lambda: 1), cancellation),
        ]
        cancellation.cancel()
        for thread in waiting:
            thread.join(WAIT)
            assert not thread.is_alive()
        over.set()
        assert working.result(WAIT) == 1


def test_callbacks_run_once_and_at_once_where_it_is_too_late() -> None:
    cancellation = Cancellation()
    called: list[str] = []
    with cancelled_by(cancellation):
        on_cancel(lambda: called.append("before"))
        raise_if_cancelled()
        cancellation.cancel()
        cancellation.cancel()
        on_cancel(lambda: called.append("after"))
    assert called == ["before", "after"]
    on_cancel(lambda: called.append("never"))
    raise_if_cancelled()
    assert called == ["before", "after"]


def test_what_is_driven_ends_though_nobody_takes_it() -> None:
    """Kind: a dropped generator kept its place until it was freed, and wrote amid another's transaction."""
    ended = threading.Event()
    threads: list[str] = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(3)
        finally:
            threads.append(threading.current_thread().name)
            ended.set()

    kept = driven(numbers())
    assert next(kept) == 0
    assert ended.wait(WAIT) and threads == ["driven"]
    assert list(kept) == [1, 2]


def test_what_is_driven_fails_where_it_is_taken_and_can_be_cancelled() -> None:
    cancellation = Cancellation()

    def numbers() -> Iterator[int]:
        yield 1
        while True:
            raise_if_cancelled()
            time.sleep(0.01)

    with cancelled_by(cancellation):
        kept = driven(numbers())
        assert next(kept) == 1
    cancellation.cancel()
    with pytest.raises(Cancelled):
        next(kept)
