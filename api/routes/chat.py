"""POST /v1/chat/completions: speak a text, optionally in the voice of a recording."""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from api.chat_responses import Answer, WatchedStream, answer_events, whole_answer
from api.chat_transcripts import transcript_answer
from api.chat_validation import check_supported, check_untimed, speech_options, spoken_text
from api.chat_voices import voice_requests
from api.middleware.auth import Owner
from api.model_names import check_model
from api.openapi import event_stream
from api.outgoing import speech_encoder
from api.schemas.chat import ChatRequest, ChatResponse
from api.schemas.events import ChatChunk
from api.schemas.timestamps import Timed
from api.schemas.transcription import TextChatResponse
from api.speaking import SpeechOrder, begin
from api.state import Cloner, State
from api.streaming import EVENT_STREAM, ChunkedResponse, begun, while_connected, with_error_event
from api.word_times import SpokenWords, timed, words_of

router = APIRouter()


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse | TextChatResponse,
    responses={200: {"content": event_stream(ChatChunk)}},
)
async def create_chat_completion(
    body: ChatRequest, request: Request, cloner: Cloner, state: State, owner: Owner
) -> ChatResponse | TextChatResponse | Response:
    """Speak the last user message. With audio.voice "clone", the voice is that of the messages' input_audio.

    With modalities ["text"], transcribe the input_audio instead.
    """
    check_model(body.model, [cloner.model_id])
    if body.modalities == ["text"]:
        check_untimed(body)
        return await transcript_answer(body, request, cloner.model_id, state)
    audio = check_supported(body)
    spoken = spoken_text(body, state.limits.text_characters)
    wanted = await run_in_threadpool(voice_requests, body, spoken.text, state.kept_audio, owner)
    options = speech_options(body, state.limits.text_characters)
    order = SpeechOrder(spoken.text, spoken.path, wanted, options, body.verify)
    speech = await while_connected(request, None, partial(begin, order, cloner, state, owner))
    answer = Answer(speech_encoder(cloner.model_id, state), spoken.text, audio.format, speech.voice, owner)
    if body.stream:
        include_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        timing = partial(SpokenWords, spoken.text, speech.stream, cloner.codec, state.transcriber)
        watched = WatchedStream(speech.stream, timing() if body.wants_times else None)
        samples = await begun(speech.stream, request)
        events = answer_events(answer, watched, samples, state.kept_audio, include_usage, body)
        return ChunkedResponse(with_error_event(events), speech.stream, EVENT_STREAM)
    best, quality = await while_connected(request, speech.attempts, speech.attempts.best)
    times = Timed()
    if body.wants_times:
        found = partial(words_of, spoken.text, best, cloner.codec, state.transcriber)
        times = timed(body, await while_connected(request, None, found))
    whole = partial(whole_answer, answer, best, quality, times, state.kept_audio)
    return await while_connected(request, None, whole)
