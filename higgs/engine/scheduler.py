"""Who waits, who is read and who speaks: plain Python, without tensors.

Requests wait in a queue, are read (prefilled) one at a time, and then speak in rows 0, 1, 2 … of the batch.
The rows are dense: when one leaves, the last moves into its place, so that a step computes the first n rows.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from errors import Overloaded

Request = TypeVar("Request")


class Place:
    """A place in the queue, held for a request that is still being made ready: taken once, or released."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back
        self._changing = threading.Lock()

    def release(self) -> None:
        """Give the place up, for somebody else or for the request itself; once."""
        with self._changing:
            give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Scheduler(Generic[Request]):
    """Holds each request in one place: `waiting`, `reading` or `rows`.

    reserved: places of requests that are still being made ready; see Place.

    slots:       requests that may speak at once.
    queue_limit: requests that may be here beside these.

    `add` and `remove` are for any thread that holds the owner's lock, as its own calls of `admit` do.
    """

    def __init__(self, slots: int, queue_limit: int) -> None:
        self.slots, self.queue_limit = slots, queue_limit
        self.waiting: deque[Request] = deque()
        self.reading: Request | None = None
        self.rows: list[Request] = []
        self.reserved = 0

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.rows or self.reading is not None)

    def add(self, request: Request, admitted: bool = False, retry_after: int = 1) -> None:
        """Put a request at the end of the queue. One that is admitted goes first.

        Overloaded, with the seconds after which to try again, if the queue is full."""
        if admitted:
            return self.waiting.appendleft(request)
        self._check_room(retry_after)
        self.waiting.append(request)

    def reserve(self, retry_after: int = 1) -> None:
        """Hold a place for a request that is still being made ready. Overloaded as of `add`."""
        self._check_room(retry_after)
        self.reserved += 1

    def overload(self, retry_after: int = 1) -> Overloaded | None:
        """What `reserve` would raise now; None while there is room."""
        inside = len(self.waiting) + len(self.rows) + (self.reading is not None) + self.reserved
        if inside < self.slots + self.queue_limit:
            return None
        waiting = len(self.waiting) + self.reserved
        message = f"{waiting} requests are waiting already; try again in {retry_after} s."
        return Overloaded(message, retry_after=retry_after)

    def _check_room(self, retry_after: int) -> None:
        if (full := self.overload(retry_after)) is not None:
            raise full

    def remove(self, request: Request) -> bool:
        """Take a request out of the queue; False if it is not there (any more)."""
        if request not in self.waiting:
            return False
        self.waiting.remove(request)
        return True

    def admit(self) -> Request | None:
        """The request to read on, or next: None while all slots are taken or nobody waits."""
        if self.reading is None and self.waiting and len(self.rows) < self.slots:
            self.reading = self.waiting.popleft()
        return self.reading

    def activate(self) -> int:
        """Give the request that has been read its row."""
        assert self.reading is not None
        self.rows.append(self.reading)
        self.reading = None
        return len(self.rows) - 1

    def leave(self, row: int) -> int | None:
        """Free a row; if another request takes its place, the row that it comes from."""
        last = self.rows.pop()
        if row == len(self.rows):
            return None
        self.rows[row] = last
        return len(self.rows)

    def stop_reading(self) -> list[Request]:
        """Let the request that is being read go, and return it, if there is one."""
        reading, self.reading = self.reading, None
        return [] if reading is None else [reading]

    def clear_rows(self) -> list[Request]:
        """Let all that speak go, and return them."""
        rows = self.rows.copy()
        self.rows.clear()
        return rows

    def drain(self) -> list[Request]:
        """Let everyone go, and return them."""
        waiting = list(self.waiting)
        self.waiting.clear()
        return [*self.clear_rows(), *self.stop_reading(), *waiting]
