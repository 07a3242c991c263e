"""Answers that leave while the model still speaks, and requests whose client leaves before the end."""

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
from concurrency import Cancellation, cancelled_by
from errors import Cancelled, ModelError, ShuttingDown
from higgs.speech import SpeechStream

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
# Base64 of so many bytes joins to a string that decodes, and no 16-bit sample is torn apart.
WHOLE_BYTES = 6


class Cancellable(Protocol):
    """Work that some thread waits for, and that can be told to stop: a SpeechStream, a TranscriptionJob."""

    def cancel(self) -> None: ...


async def in_worker(workers: anyio.CapacityLimiter, stream: Cancellable | None, work: Callable[[], T]) -> T:
    """Do work that may take long, in a thread; if this task is cancelled meanwhile, call it off.

    stream: what the work waits for, which is cancelled then. Work that makes something ready sees it by
            `raise_if_cancelled`.
    """
    cancellation = Cancellation()
    if stream is not None:
        cancellation.on_cancel(stream.cancel)

    def wanted() -> T:
        with cancelled_by(cancellation):
            return work()

    working = asyncio.ensure_future(anyio.to_thread.run_sync(wanted, limiter=workers))
    working.add_done_callback(_read_error)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        cancellation.cancel()
        raise


def _read_error(working: "asyncio.Future[Any]") -> None:
    """Nobody may be left who would read it, and asyncio would complain."""
    if not working.cancelled():
        working.exception()


async def while_connected(request: Request, stream: Cancellable | None, work: Callable[[], T]) -> T:
    """As in_worker; the work is called off when the client leaves."""
    working = asyncio.ensure_future(in_worker(request.app.state.server.workers, stream, work))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
            raise Cancelled("The client left.")
        return await working
    finally:
        gone.cancel()
        working.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def begun(stream: SpeechStream, request: Request) -> Iterator[np.ndarray]:
    """The samples of a stream, once the first are there: what fails before is an error of HTTP, not of the
    stream. Errors as of `sounding`."""
    return noted(await while_connected(request, stream, partial(sounding, stream)))


def sounding(stream: SpeechStream) -> Iterator[np.ndarray]:
    """Wait for the first samples that the model spoke; a pause before them waits, since the model may fail.

    Returns all samples. ModelError (no_audio) where none come.
    """
    samples = iter(stream)
    silence: list[np.ndarray] = []
    for piece in samples:
        if piece.any():
            return chain(silence, [piece], samples)
        silence.append(piece)
    raise ModelError("The model ended before it spoke; try another seed.", code="no_audio")


def noted(samples: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Samples of which the first are there, which is noted, as is how long a player of the others waits."""
    note_first_audio()
    record = current_request()
    return samples if record is None else with_underruns_noted(samples, record)


def with_underruns_noted(
    pieces: Iterator[np.ndarray], record: RequestContext, clock: Callable[[], float] = time.monotonic
) -> Iterator[np.ndarray]:
    """The pieces of sound; the record is told how long a player that begins with the first stands still.

    Only waiting for the model counts: a client that reads late, since it has enough, is not one that waits.
    """
    underrun = 0.0
    dry = math.inf  # when the player will have played all that it was given
    while True:
        asked = clock()
        piece = next(pieces, None)
        if piece is None:
            return
        late = max(clock() - max(dry, asked), 0.0)
        record.underrun = underrun = underrun + late
        dry = (clock() if math.isinf(dry) else dry + late) + len(piece) / SAMPLE_RATE
        yield piece


class PiecewiseResponse(StreamingResponse):
    """Sends each piece when it is there. However the response ends, the model stops speaking for it."""

    def __init__(
        self, pieces: Iterator[bytes], stream: Cancellable, media_type: str, headers: Mapping[str, str] = {}
    ) -> None:
        unbuffered = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__((), media_type=media_type, headers={**unbuffered, **headers})
        self._pieces, self._stream = pieces, stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state.server
        pieces = from_thread(self._pieces, state.workers, state.drain)
        self.body_iterator = _ending_with_error(pieces) if self.media_type == EVENT_STREAM else pieces
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.cancel()


async def from_thread(pieces: Iterator[T], workers: anyio.CapacityLimiter, drain: Drain) -> AsyncIterator[T]:
    """The pieces, each waited for in a thread that is left to itself when nobody wants them any more.

    What is spoken already, but not yet sent, can take longer than a server that ends has left: ShuttingDown.
    """
    while True:
        if drain.over:
            raise ShuttingDown()
        piece = await anyio.to_thread.run_sync(next, pieces, None, abandon_on_cancel=True, limiter=workers)
        if piece is None:
            return
        yield piece


async def _ending_with_error(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Server-sent events; what breaks them off is the last."""
    try:
        async for event in events:
            yield event
    except ShuttingDown as error:
        yield failure_event(error)


def sse(data: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def with_failure_told(events: Iterator[bytes]) -> Iterator[bytes]:
    """The events, and where they break off one last event with the error, in the shape of every other."""
    try:
        yield from events
    except Exception as error:
        yield failure_event(error)


def failure_event(error: Exception) -> bytes:
    """An error as the last event of a stream."""
    return b"data: " + bytes(error_response(error).body) + b"\n\n"


def base64_pieces(pieces: Iterable[bytes]) -> Iterator[str]:
    """Base64 that decodes piece by piece and joined."""
    held = b""
    for piece in pieces:
        held += piece
        size = len(held) // WHOLE_BYTES * WHOLE_BYTES
        if size:
            yield base64.b64encode(held[:size]).decode("ascii")
            held = held[size:]
    if held:
        yield base64.b64encode(held).decode("ascii")
