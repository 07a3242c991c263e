"""POST /v1/audio/speech/batch: many texts in one request, each with a file in base64 or an error."""

import asyncio
import base64
import json
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from itertools import islice
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from api.errors import error_detail, invalid_field
from api.middleware.auth import Owner
from api.middleware.rate_limits import charge
from api.outgoing import speech_encoder
from api.schemas.speech import SpeechBatch, SpeechRequest, SpeechResult, SpeechResults
from api.schemas.timestamps import Timed
from api.speech_requests import begin_speech
from api.state import Cloner, State
from api.streaming import while_connected
from api.word_times import timed, words_of

router = APIRouter()

Item = SpeechRequest | ValidationError

AT_ONCE = 8  # concurrent items of one batch, speaking or queued


@router.post("/v1/audio/speech/batch", response_model=SpeechResults)
async def create_speeches(
    body: SpeechBatch, request: Request, cloner: Cloner, state: State, owner: Owner
) -> StreamingResponse:
    """Synthesise every item; an item that fails doesn't affect the others.

    The answer is sent item by item, so that 64 files needn't be in memory at once.
    """

    await charge(request, len(body.items))
    encoder = speech_encoder(cloner.model_id, state)

    async def speak(index: int, item: Item) -> SpeechResult:
        if isinstance(item, ValidationError):
            wrong = error_detail(invalid_field(item.errors(include_url=False)[0]))
            return SpeechResult(index=index, status="error", error=wrong)
        try:
            ready = partial(begin_speech, item, cloner, state, owner)
            begun = await while_connected(request, None, ready)
            speech, quality = await while_connected(request, begun.attempts, begun.attempts.best)
            file = partial(encoder.file, speech.samples, item.response_format)
            encoded = await while_connected(request, None, file)
            times = Timed()
            if item.wants_times:
                found = partial(words_of, item.input, speech, cloner.codec, state.transcriber)
                words = await while_connected(request, None, found)
                times = timed(item, words)
        except Exception as error:  # an item that fails must not affect the others
            return SpeechResult(index=index, status="error", error=error_detail(error))
        return SpeechResult(
            index=index,
            status="success",
            audio_data=base64.b64encode(encoded.data).decode("ascii"),
            media_type=encoded.content_type,
            voice_used=begun.voice.used,
            instructions_followed=begun.voice.instructions_followed,
            quality=quality,
            **times.model_dump(),
        )

    results = in_order(speak, body.items)
    return StreamingResponse(
        joined(cloner.model_id, results, await anext(results)), media_type="application/json"
    )


async def in_order(
    speak: Callable[[int, Item], Coroutine[Any, Any, SpeechResult]], items: Sequence[Item]
) -> AsyncGenerator[SpeechResult, None]:
    """Yield the results in order; at most AT_ONCE items are running or waiting for earlier ones."""
    numbered = iter(enumerate(items))
    waiting: deque[asyncio.Task[SpeechResult]] = deque()
    try:
        while True:
            for index, item in islice(numbered, AT_ONCE - len(waiting)):
                waiting.append(asyncio.create_task(speak(index, item)))
            if not waiting:
                return
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()


async def joined(
    model: str, results: AsyncGenerator[SpeechResult, None], first: SpeechResult
) -> AsyncIterator[bytes]:
    """Yield SpeechResults as JSON; the counts come last, when they are known."""
    counts = Counter([first.status])
    head = f'{{"id":"speech-batch-{uuid4().hex}","model":{json.dumps(model)},"results":['
    yield head.encode() + _json(first)
    async with aclosing(results):
        async for result in results:
            counts[result.status] += 1
            yield b"," + _json(result)
    succeeded, failed = counts["success"], counts["error"]
    yield f'],"total":{succeeded + failed},"succeeded":{succeeded},"failed":{failed}}}'.encode()


def _json(result: SpeechResult) -> bytes:
    return result.model_dump_json().encode()
