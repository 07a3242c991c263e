"""POST /v1/chat/completions: a text and perhaps a recording in, speech in base64 out, whole or streamed."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from api.auth import Owner
from api.chat_answers import Answer, answer_events, whole_answer
from api.chat_rules import check_supported, reference_recording, spoken_text
from api.errors import blamed_on
from api.ops import check_model
from api.schemas import ChatRequest, ChatResponse
from api.state import Cloner, State
from api.streaming import EVENT_STREAM, PiecewiseResponse, begun, while_connected, with_failure_told
from api.voice_choice import VoiceWish, choose_voice

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse,
    responses={200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}},
)
async def create_chat_completion(
    body: ChatRequest, request: Request, cloner: Cloner, state: State, owner: Owner
) -> ChatResponse | Response:
    """Speak the last user message; audio.voice "clone" speaks in the voice of the messages' input_audio."""
    check_model(body.model, cloner)
    audio = check_supported(body)
    spoken = spoken_text(body, state.limits.text_characters)
    wish = VoiceWish(
        audio.voice, "audio.voice", reference_recording(body, state.kept_audio), audio.fallback is not None
    )
    voice, used = await run_in_threadpool(choose_voice, wish, cloner, state, owner)
    with blamed_on(spoken.path):
        stream = await run_in_threadpool(cloner.stream, spoken.text, voice, body.options())
    answer = Answer(cloner.model_id, spoken.text, audio.format, used)
    if body.stream:
        include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        events = answer_events(answer, stream, await begun(stream, request), state.kept_audio, include_usage)
        return PiecewiseResponse(with_failure_told(events), stream, EVENT_STREAM)
    speech = await while_connected(request, stream, stream.speech)
    return await run_in_threadpool(whole_answer, answer, speech, state.kept_audio)
