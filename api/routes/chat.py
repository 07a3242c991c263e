"""POST /v1/chat/completions: a text and perhaps a recording in, speech in base64 out, whole or streamed."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from api.attempts import Attempts
from api.chat_responses import Answer, WatchedStream, answer_events, whole_answer
from api.chat_transcripts import transcript_answer
from api.chat_validation import ChatText, check_supported, speech_options, spoken_text
from api.chat_voices import voice_requests
from api.errors import blamed_on
from api.middleware.auth import Owner
from api.model_names import check_model
from api.openapi import event_stream
from api.schemas.chat import ChatRequest, ChatResponse, VoiceUsed
from api.schemas.events import ChatChunk
from api.schemas.transcription import TextChatResponse
from api.state import Cloner, ServerState, State
from api.streaming import EVENT_STREAM, PiecewiseResponse, begun, while_connected, with_failure_told
from api.voice_resolution import VoiceRequest, choose_voices
from higgs.speech import SpeechStream
from synthesis.planner import SpeechOptions, VoiceReference
from voice_cloning import VoiceCloner

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse | TextChatResponse,
    responses={200: {"content": event_stream(ChatChunk)}},
)
async def create_chat_completion(
    body: ChatRequest, request: Request, cloner: Cloner, state: State, owner: Owner
) -> ChatResponse | TextChatResponse | Response:
    """Speak the last user message; audio.voice "clone" speaks in the voice of the messages' input_audio.

    modalities ["text"] answers with the words of the input_audio instead.
    """
    check_model(body.model, [cloner.model_id])
    if body.modalities == ["text"]:
        return await transcript_answer(body, request, cloner.model_id, state)
    audio = check_supported(body)
    spoken = spoken_text(body, state.limits.text_characters)
    wanted = await run_in_threadpool(voice_requests, body, spoken.text, state.kept_audio, owner)
    options = speech_options(body, state.limits.text_characters)
    ready = partial(spoken_by, wanted, spoken, options, cloner, state, owner)
    stream, voices, used = await while_connected(request, None, ready)
    answer = Answer(cloner.model_id, spoken.text, audio.format, used, owner)
    if body.stream:
        include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        watched = WatchedStream(stream)
        events = answer_events(answer, watched, await begun(stream, request), state.kept_audio, include_usage)
        return PiecewiseResponse(with_failure_told(events), stream, EVENT_STREAM)
    again = None if options.seed is not None else partial(cloner.stream, spoken.text, voices, options)
    takes = Attempts(
        stream, again, spoken.text, state.verifier(body.verify), state.request_defaults.max_attempts
    )
    speech, quality = await while_connected(request, takes, takes.best)
    return await run_in_threadpool(whole_answer, answer, speech, quality, state.kept_audio)


def spoken_by(
    wanted: list[VoiceRequest],
    spoken: ChatText,
    options: SpeechOptions,
    cloner: VoiceCloner,
    state: ServerState,
    owner: str,
) -> tuple[SpeechStream, list[VoiceReference | None], VoiceUsed]:
    """Queue the text in the voices asked for; a full queue is told before any recording is read."""
    with blamed_on(spoken.path):
        cloner.check_length(spoken.text)
    with cloner.admitted() as place:
        voices, used = choose_voices(wanted, options, cloner, state, owner)
        with blamed_on(spoken.path):
            return cloner.stream(spoken.text, voices, options, place), voices, used
