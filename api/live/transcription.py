"""Transcribe sound of a Realtime session: deltas while it is recognised, then the whole."""

import numpy as np

from api.errors import error_detail
from api.live.conversation import StoredItem
from api.live.responses import Send
from api.schemas.realtime import Transcription
from api.state import ServerState
from api.streaming import from_thread
from api.transcript_formats import usage_of
from asr.transcript import Segment, Task
from audio.frames import SAMPLE_RATE
from errors import VoiceServerError

EVENT = "conversation.item.input_audio_transcription"


async def send_failure(item: StoredItem, error: Exception, send: Send) -> None:
    """Send why an item isn't transcribed."""
    detail = error_detail(error).model_dump()
    await send(f"{EVENT}.failed", {"item_id": item.id, "content_index": 0, "error": detail})


async def transcribe(
    item: StoredItem,
    sound: np.ndarray,
    config: Transcription,
    send: Send,
    state: ServerState,
) -> None:
    """Transcribe int16 samples (N,) at 24 kHz and set the item's transcript."""
    about = {"item_id": item.id, "content_index": 0}
    prompt = " ".join(filter(None, [config.prompt, *(config.keywords or ())])) or None
    task = Task(config.language, prompt=prompt)
    job = state.transcriber.submit(sound.astype(np.float32) / 32_768, SAMPLE_RATE, task)
    text, segments = "", list[Segment]()
    try:
        async for heard in from_thread(iter(job), state.workers, state.drain):
            delta = heard.text if text else heard.text.lstrip()
            text, segments = text + delta, [*segments, *heard.segments]
            if delta:
                await send(f"{EVENT}.delta", about | {"delta": delta})
    except VoiceServerError as error:
        return await send_failure(item, error, send)
    finally:
        job.cancel()
    item.content = [{"type": "input_audio", "transcript": text}]
    usage = usage_of(segments, len(sound) / SAMPLE_RATE).model_dump()
    await send(f"{EVENT}.completed", about | {"transcript": text, "usage": usage})
