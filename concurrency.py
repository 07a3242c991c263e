"""Work in threads that can be called off, and work that many ask for at once but that is done once.

A client that leaves can't stop a thread, so the thread asks: whoever does long work calls
`raise_if_cancelled` now and then. The cancellation goes with the context, into threads too, so that it need
not be handed down through every call.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from errors import Cancelled

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

WAKE_SECONDS = 0.1  # how often a thread that waits looks whether anyone still wants what it waits for


class Cancellation:
    """Whether a piece of work is still wanted. Safe to use from several threads."""

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
        """Call this when the work is called off; at once where it is already."""
        with self._changing:
            if not self.cancelled:
                return self._callbacks.append(callback)
        callback()


_current: ContextVar[Cancellation | None] = ContextVar("cancellation", default=None)


@contextmanager
def cancelled_by(cancellation: Cancellation) -> Iterator[None]:
    """For this code, and what it calls, this cancellation holds."""
    token = _current.set(cancellation)
    try:
        yield
    finally:
        _current.reset(token)


def on_cancel(callback: Callable[[], None]) -> None:
    """Call this when the work under way is called off; never where nothing can call it off."""
    if (cancellation := _current.get()) is not None:
        cancellation.on_cancel(callback)


def raise_if_cancelled() -> None:
    """Cancelled if nobody wants the work under way any more."""
    cancellation = _current.get()
    if cancellation is not None and cancellation.cancelled:
        raise Cancelled("The client left.")


@contextmanager
def one_of(places: threading.Semaphore) -> Iterator[None]:
    """Wait for one of these places and hold it. Cancelled if the work is called off meanwhile."""
    raise_if_cancelled()
    while not places.acquire(timeout=WAKE_SECONDS):
        raise_if_cancelled()
    try:
        yield
    finally:
        places.release()


class SingleFlight(Generic[Key, Value]):
    """A cache whose missing values are computed once, while all others who ask for the same key wait.

    Other keys don't wait for it, unless as many as `at_once` are being computed. Where a computation fails,
    nothing is kept, and the next who waits tries for itself.
    """

    def __init__(self, most_kept: int, at_once: int) -> None:
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._computing: dict[Key, threading.Event] = {}
        self._changing = threading.Lock()
        self._most_kept = most_kept
        self._places = threading.BoundedSemaphore(at_once)

    def __contains__(self, key: Key) -> bool:
        with self._changing:
            return key in self._kept

    def get(self, key: Key, compute: Callable[[], Value]) -> Value:
        """The value of a key. Cancelled if this caller's work is called off while it waits."""
        while True:
            with self._changing:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
                request_context = self._computing.get(key)
                if request_context is None:
                    ended = self._computing[key] = threading.Event()
                    break
            while not request_context.wait(WAKE_SECONDS):
                raise_if_cancelled()
        try:
            with one_of(self._places):
                value = compute()
            self._keep(key, value)
            return value
        finally:
            with self._changing:
                del self._computing[key]
            ended.set()

    def _keep(self, key: Key, value: Value) -> None:
        with self._changing:
            self._kept[key] = value
            while len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
