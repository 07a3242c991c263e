"""What is recorded of a request for the log and /metrics; never its content.

The record is a context variable, also in threads, so it needn't be passed through every call.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

UNKNOWN_ROUTE = "unknown"
# In place of an HTTP method: a WebSocket, and a turn within one, such as a spoken response.
WEBSOCKET, TURN = "WEBSOCKET", "TURN"


@dataclass
class RequestContext:
    """The record of one request; times are in seconds since its arrival.

    Attributes:
        route: the path template, or UNKNOWN_ROUTE.
        status: 0 if no response was started.
        whole: whether the response was sent completely.
        errors: error codes, including those within a stream or batch.
        underrun: seconds that a player, begun with the first audio, waited for more; None if not streamed.
        close_code: a WebSocket's close code; None otherwise.
        consent: the header x-speaker-consent; see api.speaker_consent.
        generated_by: the model that speaks in the response; None if none does.
    """

    id: str
    method: str
    route: str = UNKNOWN_ROUTE
    status: int = 0
    whole: bool = False
    seconds: float = 0.0
    first_audio: float | None = None
    underrun: float | None = None
    retries: int = 0
    errors: list[str] = field(default_factory=list)
    close_code: int | None = None
    generated_by: str | None = None
    consent: str | None = None
    _arrival: float = field(default_factory=time.perf_counter)

    def elapsed(self) -> float:
        return time.perf_counter() - self._arrival


_under_way: ContextVar[RequestContext | None] = ContextVar("record", default=None)


def current_request() -> RequestContext | None:
    """Return the record of the current request; None outside of one."""
    return _under_way.get()


@contextmanager
def request_context(record: RequestContext) -> Iterator[RequestContext]:
    """Make `record` the current one for this block and what it calls."""
    token = _under_way.set(record)
    try:
        yield record
    finally:
        _under_way.reset(token)


def note_error(code: str | None) -> None:
    if (record := _under_way.get()) is not None and code is not None:
        record.errors.append(code)


def note_route(route: str) -> None:
    """The route of a request that may be refused before it is reached."""
    if (record := _under_way.get()) is not None:
        record.route = route


def note_first_audio() -> None:
    """Record that the first samples of a streamed answer are ready."""
    if (record := _under_way.get()) is not None:
        record.first_audio = record.elapsed()


def note_generated(model: str) -> None:
    """Record that the response holds speech of this model."""
    if (record := _under_way.get()) is not None:
        record.generated_by = model


def note_retry() -> None:
    if (record := _under_way.get()) is not None:
        record.retries += 1
