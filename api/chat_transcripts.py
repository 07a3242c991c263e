"""Chat completions with modalities ["text"]: transcribe the recording of the last user message with one."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
from fastapi import Request
from fastapi.responses import Response

from api.chat_responses import DONE
from api.errors import blamed_on
from api.schemas.chat import ChatRequest, CompletionTokens, PromptTokens, Usage
from api.schemas.transcription import TextChatResponse, TextChoice, TextMessage
from api.state import ServerState
from api.streaming import EVENT_STREAM, ChunkedResponse, sse, while_connected, with_error_event
from api.transcript_formats import usage_of
from asr.transcriber import TranscriptionJob
from asr.transcript import Segment, WindowTranscript
from audio.decode import MAX_SECONDS, decode_audio, decode_base64_audio
from audio.frames import SAMPLE_RATE
from errors import InvalidRequest


async def transcript_answer(
    body: ChatRequest, request: Request, model: str, state: ServerState
) -> TextChatResponse | Response:
    """Answer with the transcript as content, complete or in chunks window by window."""
    data, path = _recording(body)

    def decode(seconds: float) -> np.ndarray:
        return decode_audio(
            decode_base64_audio(data, max_bytes=state.limits.upload_bytes), max_seconds=seconds
        )

    job = state.transcriber.submit_lazy(decode, SAMPLE_RATE, MAX_SECONDS)
    base: dict[str, Any] = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": model}
    if not body.stream:
        with blamed_on(path):
            transcript = await while_connected(request, job, job.transcript)
        choice = TextChoice(message=TextMessage(content=transcript.text))
        return TextChatResponse(
            **base, choices=[choice], usage=_usage(list(transcript.segments), job.seconds)
        )
    parts = iter(job)
    with blamed_on(path):
        first = await while_connected(request, job, lambda: next(parts, None))
    wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    events = _chunks(base, first, parts, job, wants_usage)
    return ChunkedResponse(with_error_event(events), job, EVENT_STREAM)


def _recording(body: ChatRequest) -> tuple[str, str]:
    """Return the base64 data of the last message's recording, and the path of its field."""
    found = [
        (position, recording[0], f"messages[{position}].content[{index}].{recording[1]}")
        for position, message in enumerate(body.messages)
        for index, part in enumerate(message.content)
        if (recording := part.recording) is not None and message.role == "user"
    ]
    if not found:
        message = 'modalities ["text"] transcribes an input_audio, but no user message has one.'
        raise InvalidRequest(message, code="missing_required_parameter", param="messages")
    position, data, path = found[-1]
    if len(found) > 1 and found[-2][0] == position:
        message = "This message has several recordings; send each in a request of its own."
        raise InvalidRequest(message, code="unsupported", param=path)
    return data, path


def _chunks(
    base: dict[str, Any],
    first: WindowTranscript | None,
    parts: Iterator[WindowTranscript],
    job: TranscriptionJob,
    wants_usage: bool,
) -> Iterator[bytes]:
    base = base | {"object": "chat.completion.chunk"} | ({"usage": None} if wants_usage else {})

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return sse({**base, "choices": [choice]})

    segments = list(first.segments) if first else []
    yield chunk({"role": "assistant", "content": first.text.lstrip() if first else "", "refusal": None})
    for heard in parts:
        text = heard.text if segments else heard.text.lstrip()
        segments += heard.segments
        yield chunk({"content": text})
    yield chunk({}, "stop")
    if wants_usage:
        yield sse({**base, "choices": [], "usage": _usage(segments, job.seconds).model_dump()})
    yield DONE


def _usage(segments: list[Segment], seconds: float) -> Usage:
    tokens = usage_of(segments, seconds)
    return Usage(
        prompt_tokens=tokens.input_tokens,
        completion_tokens=tokens.output_tokens,
        total_tokens=tokens.total_tokens,
        prompt_tokens_details=PromptTokens(audio_tokens=tokens.input_tokens, text_tokens=0),
        completion_tokens_details=CompletionTokens(audio_tokens=0, text_tokens=tokens.output_tokens),
    )
