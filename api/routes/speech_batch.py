"""POST /v1/audio/speech/batch: many texts at once, each a file in base64 or its own error."""

import asyncio
import base64
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from api.errors import error_detail
from api.middleware.auth import Owner
from api.routes.speech import begin_speech
from api.schemas.speech import SpeechBatch, SpeechRequest, SpeechResult, SpeechResults
from api.state import Cloner, State
from api.streaming import while_connected
from audio.encode import encode_audio
from errors import VoiceServerError

router = APIRouter()

AT_ONCE = 8  # items of one batch that speak or wait in the queue together


@router.post("/v1/audio/speech/batch")
async def create_speeches(
    body: SpeechBatch, request: Request, cloner: Cloner, state: State, owner: Owner
) -> SpeechResults:
    """Speak every item; one that can't be spoken doesn't keep the others from it."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def speak(index: int, item: SpeechRequest) -> SpeechResult:
        async with at_once:
            try:
                begun = await run_in_threadpool(begin_speech, item, cloner, state, owner)
                speech, quality = await while_connected(request, begun.takes, begun.takes.best)
            except VoiceServerError as error:
                return SpeechResult(index=index, status="error", error=error_detail(error))
        encoded = await run_in_threadpool(encode_audio, speech.samples, item.response_format)
        return SpeechResult(
            index=index,
            status="success",
            audio_data=base64.b64encode(encoded.data).decode("ascii"),
            media_type=encoded.content_type,
            voice_used=begun.voice.used,
            instructions_followed=begun.voice.instructions_followed,
            quality=quality,
        )

    results = await asyncio.gather(*(speak(index, item) for index, item in enumerate(body.items)))
    succeeded = sum(result.status == "success" for result in results)
    return SpeechResults(
        id=f"speech-batch-{uuid4().hex}",
        results=results,
        total=len(results),
        succeeded=succeeded,
        failed=len(results) - succeeded,
    )
