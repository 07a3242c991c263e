"""Run an onboarding for the routes that create voices: to its end, or streaming its steps."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

import numpy as np
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from api.state import ServerState
from api.streaming import EVENT_STREAM, ChunkedResponse, sse, while_connected, with_error_event
from audio.frames import SAMPLE_RATE
from errors import InvalidRequest, NotFound
from voices.library import VoiceLibrary
from voices.onboarding import Onboarding
from voices.store.sessions import Step
from voices.voice_order import VoiceOrder

# Step → the request's field that an error of the step names.
Fields = Mapping[str, str]
# For the routes of /v1/audio/voices.
VOICE_FIELDS: Fields = {
    **dict.fromkeys(("read", "choose", "encode"), "audio_sample"),
    "verify": "consent",
    "keep": "name",
}


def transcriber_for(state: ServerState, asked: bool | None) -> Callable[[np.ndarray], str | None] | None:
    """Return the transcriber of references if the request, or else the setting, wants it."""
    wanted = state.request_defaults.transcribe_references if asked is None else asked
    if not wanted:
        return None
    return lambda samples: state.transcriber.transcribe(samples, SAMPLE_RATE).text or None


def consent_check(state: ServerState, voices: VoiceLibrary, consent: str, asked: bool | None = None) -> bool:
    """Return whether the consent must be of the same speaker: by the setting, or else by the request.

    Raises:
        InvalidRequest: a consent is required, but none was given.
        NotInstalled: there is no speaker model.
    """
    wanted = state.request_defaults.verify_consents or bool(asked)
    if wanted and not consent:
        message = (
            "Send the id of a consent of the same speaker; create one with POST /v1/audio/voice_consents."
        )
        raise InvalidRequest(message, code="missing_required_parameter", param="consent")
    if wanted:
        voices.verifier.require()
    return wanted


async def ordered(voices: VoiceLibrary, order: VoiceOrder, fields: Fields) -> Onboarding:
    """Create the onboarding; errors name the request's field."""
    try:
        return await run_in_threadpool(voices.onboard, order)
    except InvalidRequest as error:
        error.param = "consent" if isinstance(error, NotFound) else fields["keep"]
        raise


async def finished(onboarding: Onboarding, fields: Fields, request: Request) -> None:
    """Run the onboarding to its end; nothing is saved if the client disconnects first."""

    def walk() -> None:
        for _ in _walked(onboarding, fields):
            pass

    await while_connected(request, onboarding, walk)


async def progress_response(
    onboarding: Onboarding, fields: Fields, answer: Callable[[], BaseModel]
) -> ChunkedResponse:
    """Stream the steps as events, then the answer or the error."""
    turns = _walked(onboarding, fields)
    first = await run_in_threadpool(next, turns)
    events = _events(onboarding, chain([first], turns), answer)
    return ChunkedResponse(with_error_event(events), onboarding, EVENT_STREAM)


def _walked(onboarding: Onboarding, fields: Fields) -> Iterator[list[Step]]:
    try:
        yield from onboarding
    except InvalidRequest as error:
        if onboarding.steps:
            error.param = error.param or fields.get(onboarding.steps[-1]["name"])
        raise


def _events(
    onboarding: Onboarding, turns: Iterator[list[Step]], answer: Callable[[], BaseModel]
) -> Iterator[bytes]:
    for steps in turns:
        yield sse({"type": "voice.onboarding.step", "voice_id": onboarding.voice_id, "steps": steps})
    yield sse({"type": "voice.onboarding.done", **answer().model_dump()})
