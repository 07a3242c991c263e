"""Streamed responses, and cancellation of requests whose client disconnects."""

import asyncio
import base64
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
import numpy as np
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.drain import Drain
from api.errors import error_response
from api.request_context import RequestContext, current_request, note_first_audio
from audio.frames import SAMPLE_RATE
from concurrency import Cancellation, cancelled_by, raise_if_cancelled
from errors import Cancelled, ModelError, ShuttingDown
from higgs.speech import SpeechStream

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
# Blocks of a multiple of this have base64 that can be concatenated, and whole 16-bit samples.
WHOLE_BYTES = 6


class Cancellable(Protocol):
    """Work that can be cancelled while a thread waits for it: a SpeechStream, a TranscriptionJob."""

    def cancel(self) -> None: ...


async def in_worker(workers: anyio.CapacityLimiter, stream: Cancellable | None, work: Callable[[], T]) -> T:
    """Run `work` in a thread; cancel it if this task is cancelled.

    stream: what the work waits for, which is cancelled too. Other work checks `raise_if_cancelled`.
    """
    cancellation = Cancellation()
    if stream is not None:
        cancellation.on_cancel(stream.cancel)

    def wanted() -> T:
        with cancelled_by(cancellation):
            raise_if_cancelled()  # while it waited for a thread
            return work()

    working = asyncio.ensure_future(anyio.to_thread.run_sync(wanted, limiter=workers))
    working.add_done_callback(_read_error)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        cancellation.cancel()
        raise


def _read_error(working: "asyncio.Future[Any]") -> None:
    """Retrieve the error, or asyncio would log that nobody did."""
    if not working.cancelled():
        working.exception()


async def while_connected(request: Request, stream: Cancellable | None, work: Callable[[], T]) -> T:
    """Run `work` in a thread; cancel it if the client disconnects."""
    working = asyncio.ensure_future(in_worker(request.app.state.server.workers, stream, work))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
            raise Cancelled("The client disconnected.")
        return await working
    finally:
        gone.cancel()
        working.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def sounding_while_connected(stream: SpeechStream, request: Request) -> Iterator[np.ndarray]:
    """Return a stream's samples once the first ones are available: earlier errors become HTTP errors."""
    return noted(await while_connected(request, stream, partial(sounding, stream)))


def sounding(stream: SpeechStream) -> Iterator[np.ndarray]:
    """Wait for the first samples, after any pause, since the model may fail; return all samples.

    Raises:
        ModelError: no_audio.
    """
    samples = iter(stream)
    silence: list[np.ndarray] = []
    for block in samples:
        if block.any():
            return chain(silence, [block], samples)
        silence.append(block)
    raise ModelError("The model ended before it spoke; try another seed.", code="no_audio")


def noted(samples: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Record that the first samples are available, and how long a player waits for the others."""
    note_first_audio()
    record = current_request()
    return samples if record is None else with_underruns_noted(samples, record)


def with_underruns_noted(
    blocks: Iterator[np.ndarray], record: RequestContext, clock: Callable[[], float] = time.monotonic
) -> Iterator[np.ndarray]:
    """Yield blocks of samples; record how long a player that starts with the first one stands still.

    Only waiting for the model counts, not that of a client that reads late because it has enough to play.
    """
    underrun = 0.0
    dry = math.inf  # when the player will have played everything so far
    while True:
        asked = clock()
        block = next(blocks, None)
        if block is None:
            return
        late = max(clock() - max(dry, asked), 0.0)
        record.underrun = underrun = underrun + late
        dry = (clock() if math.isinf(dry) else dry + late) + len(block) / SAMPLE_RATE
        yield block


class ChunkedResponse(StreamingResponse):
    """Sends each block as soon as it is available. However the response ends, the speech is cancelled."""

    def __init__(
        self, blocks: Iterator[bytes], stream: Cancellable, media_type: str, headers: Mapping[str, str] = {}
    ) -> None:
        unbuffered = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__((), media_type=media_type, headers={**unbuffered, **headers})
        self._blocks, self._stream = blocks, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state.server
        blocks = from_thread(self._blocks, state.workers, state.drain)
        self.body_iterator = _ending_with_error(blocks) if self.media_type == EVENT_STREAM else blocks
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.cancel()


async def from_thread(blocks: Iterator[T], workers: anyio.CapacityLimiter, drain: Drain) -> AsyncIterator[T]:
    """Yield the items of an iterator that blocks, each awaited in a thread (abandoned if cancelled).

    Raises:
        ShuttingDown: the server's time for running requests is over.
    """
    while True:
        if drain.over:
            raise ShuttingDown()
        block = await anyio.to_thread.run_sync(next, blocks, None, abandon_on_cancel=True, limiter=workers)
        if block is None:
            return
        yield block


async def _ending_with_error(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield server-sent events; if the server stops, a last event says so."""
    try:
        async for event in events:
            yield event
    except ShuttingDown as error:
        yield error_event(error)


def sse(data: Mapping[str, Any]) -> bytes:
    """Format a server-sent event."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def with_error_event(events: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the events; if they fail, a last event with the error."""
    try:
        yield from events
    except Exception as error:
        yield error_event(error)


def error_event(error: Exception) -> bytes:
    """Return an error as the last event of a stream."""
    return b"data: " + bytes(error_response(error).body) + b"\n\n"


def base64_chunks(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield base64 that can be decoded chunk by chunk or concatenated."""
    held = b""
    for block in blocks:
        held += block
        size = len(held) // WHOLE_BYTES * WHOLE_BYTES
        if size:
            yield base64.b64encode(held[:size]).decode("ascii")
            held = held[size:]
    if held:
        yield base64.b64encode(held).decode("ascii")
