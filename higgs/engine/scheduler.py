"""The scheduler of queued, prefilling and running requests: plain Python, without tensors.

Requests wait in a queue, are prefilled in their order, and then run in rows 0, 1, 2 … of the batch. Rows are
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
    """Holds each request in one place: `waiting`, `background`, `prefilling` or `rows`.

    reserved: places of requests that are still being made ready; see Place.

    slots:       requests that may speak at once.
    queue_limit: requests that may be here beside these.

    `add` and `remove` are for any thread that holds the owner's lock, as its own calls of `admit` do.
    """

    def __init__(self, slots: int, queue_limit: int) -> None:
        self.slots, self.queue_limit = slots, queue_limit
        self.waiting: deque[Request] = deque()
        self.background: deque[Request] = deque()
        self._begun_in_background: list[Request] = []  # of `prefilling` and `rows`
        self.prefilling: list[Request] = []
        self.rows: list[Request] = []
        self.reserved = 0

    @property
    def idle(self) -> bool:
        """Whether there are no requests. Any thread may ask: they are looked for in the order they go."""
        return not (self.waiting or self.background or self.prefilling or self.rows)

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
        inside = len(self.waiting) + len(self.rows) + len(self.prefilling) + self.reserved
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

    def admit(self, fits: Callable[[Request], bool]) -> Request | None:
        """Move the next request to those being prefilled and return it.

        None if all slots are taken, nothing is queued, or the next one does not fit: nobody overtakes it.
        """
        taken = len(self.rows) + len(self.prefilling)
        if taken == self.slots:
            return None
        in_background = not self.waiting
        queue = self.background if in_background else self.waiting
        if not queue or (in_background and not self._has_room_in_background(taken)) or not fits(queue[0]):
            return None
        request = queue[0]
        if in_background:
            self._begun_in_background.append(request)
        self.prefilling.append(request)  # before it leaves the queue: see `idle`
        queue.popleft()
        return request

    def _has_room_in_background(self, taken: int) -> bool:
        return not self._begun_in_background and (not taken or taken + 1 < self.slots)

    def activate(self, request: Request) -> int:
        """Move a prefilled request to a row; return the row."""
        self.rows.append(request)
        self.prefilling.remove(request)
        return len(self.rows) - 1

    def leave(self, row: int) -> int | None:
        """Free a row; return the row that moved into it, if any."""
        self._forget([self.rows[row]])
        last = self.rows.pop()
        if row == len(self.rows):
            return None
        self.rows[row] = last
        return len(self.rows)

    def stop_prefilling(self, request: Request) -> None:
        """Remove a request that is being prefilled."""
        self.prefilling.remove(request)
        self._forget([request])

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
        prefilling = self.prefilling.copy()
        self.prefilling.clear()
        self._forget(prefilling)
        return [*self.clear_rows(), *prefilling, *waiting]

    def _forget(self, gone: list[Request]) -> None:
        self._begun_in_background = [one for one in self._begun_in_background if one not in gone]
