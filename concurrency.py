"""Cancellable work in threads, iteration in a thread, and a cache that computes each value once.

A thread can't be interrupted when its client disconnects. Long work calls `raise_if_cancelled` now and then
instead. The cancellation is a context variable, so it needn't be passed through every call.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from queue import SimpleQueue
from typing import Generic, TypeVar

from errors import Cancelled

T = TypeVar("T")
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

WAKE_SECONDS = 0.1  # how often a waiting thread checks for cancellation


class Cancellation:
    """Whether work was cancelled. Thread-safe."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self.cancelled = False

    def cancel(self) -> None:
        with self._changing:
            self.cancelled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Register a callback for `cancel`; called at once if already cancelled."""
        with self._changing:
            if not self.cancelled:
                return self._callbacks.append(callback)
        callback()


_current: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


@contextmanager
def cancelled_by(cancellation: Cancellation) -> Iterator[None]:
    """Make `cancellation` the current one for this block and what it calls."""
    token = _current.set(cancellation)
    try:
        yield
    finally:
        _current.reset(token)


def on_cancel(callback: Callable[[], None]) -> None:
    """Register a callback with the current cancellation, if there is one."""
    if (cancellation := _current.get()) is not None:
        cancellation.on_cancel(callback)


def raise_if_cancelled() -> None:
    """Raise Cancelled if the current work was cancelled."""
    cancellation = _current.get()
    if cancellation is not None and cancellation.cancelled:
        raise Cancelled("The client disconnected.")


@contextmanager
def acquired(places: threading.Semaphore) -> Iterator[None]:
    """Wait for the semaphore and hold it. Raises Cancelled if the work is cancelled while waiting."""
    raise_if_cancelled()
    while not places.acquire(timeout=WAKE_SECONDS):
        raise_if_cancelled()
    try:
        yield
    finally:
        places.release()


def driven(items: Iterable[T]) -> Generator[T, None, None]:
    """Iterate in a thread of its own, from the first `next` to the end, even if nobody takes what comes.

    A generator that is dropped midway runs its `finally` blocks wherever it is freed: in the event loop, or
    amid what the garbage collector interrupts, such as another's transaction. So one that holds a place or
    writes to a database is driven, and whoever leaves it cancels its work.
    """
    found: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()

    def drive() -> None:
        try:
            for item in items:
                found.put((item,))
        except BaseException as error:
            found.put(error)
        else:
            found.put(None)

    threading.Thread(target=copy_context().run, args=(drive,), name="driven", daemon=True).start()
    while (one := found.get()) is not None:
        if isinstance(one, BaseException):
            raise one
        yield one[0]


class SingleFlight(Generic[Key, Value]):
    """A thread-safe LRU cache that computes each missing value once; other callers for that key wait.

    If a computation fails, nothing is cached and the next waiting caller tries.

    Args:
        max_size: maximum number of cached values.
        max_concurrent: maximum number of concurrent computations.
    """

    def __init__(self, max_size: int, max_concurrent: int) -> None:
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._computing: dict[Key, threading.Event] = {}
        self._changing = threading.Lock()
        self._max_size = max_size
        self._places = threading.BoundedSemaphore(max_concurrent)

    def __contains__(self, key: Key) -> bool:
        with self._changing:
            return key in self._kept

    def get(self, key: Key, compute: Callable[[], Value]) -> Value:
        """Return the value of `key`, computing it if needed. Raises Cancelled if cancelled while waiting."""
        while True:
            with self._changing:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
                computed = self._computing.get(key)
                if computed is None:
                    done = self._computing[key] = threading.Event()
                    break
            while not computed.wait(WAKE_SECONDS):
                raise_if_cancelled()
        try:
            with acquired(self._places):
                value = compute()
            self._keep(key, value)
            return value
        finally:
            with self._changing:
                del self._computing[key]
            done.set()

    def _keep(self, key: Key, value: Value) -> None:
        with self._changing:
            self._kept[key] = value
            while len(self._kept) > self._max_size:
                self._kept.popitem(last=False)
