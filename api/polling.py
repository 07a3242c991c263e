"""A state that is looked up again and again, streamed as server-sent events."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from api.drain import Drain
from api.streaming import EVENT_STREAM, error_event

Found = TypeVar("Found")


async def polled(
    look: Callable[[], Found],
    event: Callable[[Found], bytes],
    goes_on: Callable[[Found], bool],
    drain: Drain,
    seconds: float,
    told: Callable[[Found], object] = lambda found: found,
) -> StreamingResponse:
    """Stream what `look` finds: now, at each change, and when it goes on no more.

    If `look` fails later, since the row was deleted, say, the last event is that error. The stream also ends
    when the server stops.

    Args:
        look: called in a thread; its first error is raised.
        event: a server-sent event of it.
        goes_on: whether it can still change.
        drain: the server's.
        seconds: between two looks.
        told: the part of it whose change is worth an event.
    """
    first = await run_in_threadpool(look)

    async def events() -> AsyncIterator[bytes]:
        latest = first
        yield event(latest)
        while goes_on(latest) and not await drain.begins_within(seconds):
            try:
                now = await run_in_threadpool(look)
            except Exception as error:
                yield error_event(error)
                return
            if told(now) != told(latest):
                yield event(now)
            latest = now

    return StreamingResponse(events(), media_type=EVENT_STREAM, headers={"cache-control": "no-cache"})
