"""The scheduler of queued, prefilling and running requests: plain Python, without tensors.

Requests wait in a queue, are prefilled one at a time, and then run in rows 0, 1, 2 … of the batch. Rows are
dense: when one is freed, the last one moves there, so that a step computes the first n rows.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from errors import Overloaded

Request = TypeVar("Request")


class Place:
    """A reserved place in the queue; used or released once."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back
        self._changing = threading.Lock()

    def release(self) -> None:
        """Release the place. Calls after the first have no effect."""
        with self._changing:
            give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Scheduler(Generic[Request]):
    """Holds each request in one place: `waiting`, `background`, `reading` or `rows`.

    reserved: places of requests that are still being made ready; see Place.

    slots:       requests that may speak at once.
    queue_limit: requests that may be here beside these.

    `add` and `remove` are for any thread that holds the owner's lock, as its own calls of `admit` do.
    """

    def __init__(self, slots: int, queue_limit: int) -> None:
        self.slots, self.queue_limit = slots, queue_limit
        self.waiting: deque[Request] = deque()
        self.background: deque[Request] = deque()
        self._begun_in_background: list[Request] = []  # of `reading` and `rows`
        self.prefilling: Request | None = None
        self.rows: list[Request] = []
        self.reserved = 0

    @property
    def idle(self) -> bool:
        """Whether there are no requests."""
        return not (self.waiting or self.background or self.rows or self.prefilling is not None)

    def add(
        self, request: Request, admitted: bool = False, retry_after: int = 1, background: bool = False
    ) -> None:
        """Add a request to the queue, at the front if it is already admitted.

        Raises:
            Overloaded: the queue is full; carries retry_after.
        """
        if background:
            return self.background.append(request)
        if admitted:
            return self.waiting.appendleft(request)
        self._check_room(retry_after)
        self.waiting.append(request)

    def reserve(self, retry_after: int = 1) -> None:
        """Reserve a place for a request that is being prepared. Raises Overloaded."""
        self._check_room(retry_after)
        self.reserved += 1

    def overload(self, retry_after: int = 1) -> Overloaded | None:
        """Return what `reserve` would raise now; None if there is room."""
        inside = len(self.waiting) + len(self.rows) + (self.prefilling is not None) + self.reserved
        inside -= len(self._begun_in_background)
        if inside < self.slots + self.queue_limit:
            return None
        waiting = len(self.waiting) + self.reserved
        message = f"{waiting} requests are waiting already; try again in {retry_after} s."
        return Overloaded(message, retry_after=retry_after)

    def _check_room(self, retry_after: int) -> None:
        if (full := self.overload(retry_after)) is not None:
            raise full

    def remove(self, request: Request) -> bool:
        """Remove a request from the queue; return whether it was there."""
        for queue in (self.waiting, self.background):
            if request in queue:
                queue.remove(request)
                return True
        return False

    def admit(self) -> Request | None:
        """Return the request to prefill; None if all slots are taken or nothing is queued."""
        if self.prefilling is None and len(self.rows) < self.slots:
            if self.waiting:
                self.prefilling = self.waiting.popleft()
            elif self.background and self._has_room_in_background():
                self.prefilling = self.background.popleft()
                self._begun_in_background.append(self.prefilling)
        return self.prefilling

    def _has_room_in_background(self) -> bool:
        return not self._begun_in_background and (not self.rows or len(self.rows) + 1 < self.slots)

    def activate(self) -> int:
        """Move the prefilled request to a row; return the row."""
        assert self.prefilling is not None
        self.rows.append(self.prefilling)
        self.prefilling = None
        return len(self.rows) - 1

    def leave(self, row: int) -> int | None:
        """Free a row; return the row that moved into it, if any."""
        self._forget([self.rows[row]])
        last = self.rows.pop()
        if row == len(self.rows):
            return None
        self.rows[row] = last
        return len(self.rows)

    def stop_prefilling(self) -> list[Request]:
        """Remove and return the request that is being prefilled."""
        stopped = [] if self.prefilling is None else [self.prefilling]
        self.prefilling = None
        self._forget(stopped)
        return stopped

    def clear_rows(self) -> list[Request]:
        """Remove and return all running requests."""
        rows = self.rows.copy()
        self.rows.clear()
        self._forget(rows)
        return rows

    def drain(self) -> list[Request]:
        """Remove and return all requests."""
        waiting = [*self.waiting, *self.background]
        self.waiting.clear()
        self.background.clear()
        return [*self.clear_rows(), *self.stop_prefilling(), *waiting]

    def _forget(self, gone: list[Request]) -> None:
        self._begun_in_background = [one for one in self._begun_in_background if one not in gone]
