"""POST /v1/chat/completions: a text and perhaps a recording in, speech in base64 out."""

import asyncio
import base64
import time
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from api.chat_rules import check_supported, reference_recording, spoken_text
from api.errors import blamed_on
from api.ops import check_model
from api.schemas import (
    AnswerMessage,
    AudioFormat,
    ChatRequest,
    ChatResponse,
    Choice,
    CompletionTokens,
    MessageAudio,
    PromptTokens,
    Usage,
    VoiceUsed,
)
from api.state import Cloner, State
from api.voice_choice import VoiceWish, choose_voice
from audio.encode import encode_audio
from higgs.speech import Speech, SpeechStream
from voice_cloning import SpeechOptions

router = APIRouter()


@router.post("/v1/chat/completions")
async def create_chat_completion(
    body: ChatRequest, request: Request, cloner: Cloner, state: State
) -> ChatResponse:
    """Speak the last user message; audio.voice "clone" speaks in the voice of the messages' input_audio."""
    check_model(body.model, cloner)
    audio = check_supported(body)
    spoken = spoken_text(body, state.limits.text_characters)
    wish = VoiceWish(audio.voice, "audio.voice", reference_recording(body), audio.fallback is not None)
    voice, used = await run_in_threadpool(choose_voice, wish, cloner, state)
    with blamed_on(spoken.path):
        stream = await run_in_threadpool(cloner.stream, spoken.text, voice, speech_options(body))
    speech = await collect_while_connected(stream, request)
    data = await run_in_threadpool(encode_base64, speech, audio.format)
    return chat_response(cloner.model_id, spoken.text, speech, data, used)


def speech_options(body: ChatRequest) -> SpeechOptions:
    return SpeechOptions(
        temperature=body.temperature,
        top_k=body.top_k,
        top_p=body.top_p,
        seed=body.seed,
        max_columns=body.max_completion_tokens or body.max_tokens,
    )


async def collect_while_connected(stream: SpeechStream, request: Request) -> Speech:
    """The whole speech; the generation is cancelled when the client leaves before its end."""
    work = asyncio.ensure_future(run_in_threadpool(stream.speech))
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not work.done():
            stream.cancel()
    return await work


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def encode_base64(speech: Speech, format: AudioFormat) -> str:
    return base64.b64encode(encode_audio(speech.samples, format).data).decode("ascii")


def chat_response(model: str, text: str, speech: Speech, data: str, voice: VoiceUsed) -> ChatResponse:
    """The answer as an OpenAI chat completion. The audio is not kept, so it expires as it is made."""
    created = int(time.time())
    audio = MessageAudio(id=f"audio_{uuid4().hex}", data=data, expires_at=created, transcript=text)
    return ChatResponse(
        id=f"chatcmpl-{uuid4().hex}",
        created=created,
        model=model,
        choices=[Choice(finish_reason=speech.finish_reason, message=AnswerMessage(audio=audio))],
        usage=usage_of(speech),
        voice=voice,
        seed=speech.seed,
    )


def usage_of(speech: Speech) -> Usage:
    prompt = speech.prompt_text_tokens + speech.prompt_audio_tokens
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=speech.completion_audio_tokens,
        total_tokens=prompt + speech.completion_audio_tokens,
        prompt_tokens_details=PromptTokens(
            audio_tokens=speech.prompt_audio_tokens, text_tokens=speech.prompt_text_tokens
        ),
        completion_tokens_details=CompletionTokens(audio_tokens=speech.completion_audio_tokens),
    )
