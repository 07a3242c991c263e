"""What is noted of a request while it is answered: for the log and for /metrics, and nothing of what is said.

The record of the request under way goes with its context, into threads too, so that whoever meets something
worth noting can do so without handing it up through every call.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

UNKNOWN_ROUTE = "unknown"
# In the place of a method: a WebSocket, and a turn within one, such as a spoken response.
WEBSOCKET, TURN = "WEBSOCKET", "TURN"


@dataclass
class RequestContext:
    """One request. Times in seconds since its arrival.

    route:  the path with its parameters' names, UNKNOWN_ROUTE where none was reached.
    status: 0 where no answer was begun.
    whole:  the answer went out to its end.
    errors: codes, those inside of a stream or a batch too.
    close_code: by which a WebSocket was closed; None of anything else.
    """

    id: str
    method: str
    route: str = UNKNOWN_ROUTE
    status: int = 0
    whole: bool = False
    seconds: float = 0.0
    first_audio: float | None = None
    retries: int = 0
    errors: list[str] = field(default_factory=list)
    close_code: int | None = None
    _arrival: float = field(default_factory=time.perf_counter)

    def elapsed(self) -> float:
        return time.perf_counter() - self._arrival


_under_way: ContextVar[RequestContext | None] = ContextVar("record", default=None)


def current_request() -> RequestContext | None:
    """The record of the request that this code works for; None outside of one."""
    return _under_way.get()


@contextmanager
def request_context(record: RequestContext) -> Iterator[RequestContext]:
    """For this code, and what it calls, the record is the one under way."""
    token = _under_way.set(record)
    try:
        yield record
    finally:
        _under_way.reset(token)


def note_error(code: str | None) -> None:
    if (record := _under_way.get()) is not None and code is not None:
        record.errors.append(code)


def note_first_audio() -> None:
    """The first samples of a streamed answer are there."""
    if (record := _under_way.get()) is not None:
        record.first_audio = record.elapsed()


def note_retry() -> None:
    if (record := _under_way.get()) is not None:
        record.retries += 1
