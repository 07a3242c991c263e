"""/api/public/voice/onboarding: upload a recording or video, hear a trial of the voice, and save it."""

import base64
import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from api.errors import blamed_on
from api.middleware.auth import Owner
from api.onboarding_progress import consent_check, finished, ordered, progress_response, transcriber_for
from api.openapi import event_stream
from api.outgoing import speech_encoder
from api.polling import polled
from api.schemas.events import VoiceDone, VoiceStep
from api.schemas.voices import (
    OnboardingAnswer,
    OnboardingDeleted,
    OnboardingError,
    OnboardingStatus,
    OnboardingStep,
    PartUsed,
    SampleBody,
    find_recording_issues,
    similarity_of,
)
from api.speaker_consent import check_consent, check_kept_voice, note_consent
from api.state import Cloner, State, Voices
from api.streaming import sse, while_connected
from api.text_validation import check_text
from api.trial import trial_check
from api.uploads import file_name, require_form, uploaded_bytes
from api.voice_validation import TRIAL_TEXT, dictionary, name_of_file, transcript, user_name, voice_name
from audio.generated import SpeechEncoder
from errors import InvalidRequest
from higgs.spoken import Speech
from voices.library import VoiceLibrary
from voices.store.tables import VoiceProfile
from voices.voice_order import VoiceOrder

router = APIRouter(prefix="/api/public/voice/onboarding")

FIELDS = {
    **dict.fromkeys(("read", "choose", "encode"), "audio_file"),
    "verify": "consent",
    "speak": "sample_text",
    "keep": "voice_name",
}
STEPS: dict[int | str, dict[str, Any]] = {200: {"content": event_stream(VoiceStep, VoiceDone)}}
CHANGES: dict[int | str, dict[str, Any]] = {200: {"content": event_stream(OnboardingStatus)}}
POLL_SECONDS = 0.25


async def sample_body(request: Request) -> SampleBody:
    """Parse the text to speak, from JSON or a form."""
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            return SampleBody.model_validate(await request.json())
        return SampleBody.model_validate(dict(await request.form()))
    except ValidationError as error:
        issues = [{**issue, "loc": ("body", *issue["loc"])} for issue in error.errors()]
        raise RequestValidationError(issues) from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from error


@router.post("/clone", dependencies=[Depends(require_form)], response_model=OnboardingAnswer, responses=STEPS)
async def clone_voice(
    request: Request,
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
    audio_file: Annotated[UploadFile, File(description="Audio or video file, 2 s to 5 min, 50 MB.")],
    user_id: Annotated[str, Form(description="The voice's user, among those of this API key.")] = "",
    voice_name_given: Annotated[
        str,
        Form(
            alias="voice_name", description="Default: the file's name, with a number appended if it is taken."
        ),
    ] = "",
    sample_text: Annotated[str, Form(description="Text that the new voice speaks as a trial.")] = TRIAL_TEXT,
    transcribe_reference: Annotated[
        bool | None, Form(description="Transcribe the recording if there is no ref_text.")
    ] = None,
    ref_text: Annotated[str | None, Form(description="Transcript of the recording.")] = None,
    consent: Annotated[str, Form(description="Id of a consent.")] = "",
    verify_consent: Annotated[
        bool | None, Form(description="Require that the consent is of the same speaker.")
    ] = None,
    pronunciations: Annotated[str, Form(description="How it says words, as JSON.")] = "",
    stream: Annotated[bool, Form(description="Stream the steps as events.")] = False,
) -> OnboardingAnswer | Response:
    """Create a voice from the best part of a recording, and speak a trial text."""
    check_text(sample_text, "sample_text", state.limits.text_characters)
    named = voice_name_given.strip()
    order = VoiceOrder(
        owner=owner,
        user_id=user_name(user_id, "user_id"),
        name=voice_name(named, "voice_name") if named else name_of_file(file_name(audio_file)),
        numbered=not named,
        file_name=file_name(audio_file),
        transcript=transcript(ref_text, "ref_text"),
        transcribe=transcriber_for(state, transcribe_reference),
        check_trial=trial_check(state.transcriber),
        consent_id=consent or None,
        verify_consent=consent_check(state, voices, consent, verify_consent),
        sample_text=sample_text,
        pronunciations=dictionary(pronunciations, cloner),
        upload=await uploaded_bytes(audio_file, "audio_file", state.limits.voice_bytes),
    )
    if not consent:
        attested = await run_in_threadpool(check_consent, None, "consent", state, owner)
        note_consent(attested, owner, order.upload)
    onboarding = await ordered(voices, order, FIELDS)
    encoder = speech_encoder(cloner.model_id, state)

    def answer() -> OnboardingAnswer:
        assert onboarding.profile is not None and onboarding.sample is not None
        profile = onboarding.profile
        return spoken_answer(profile, sample_text, onboarding.sample, profile.similarity, encoder)

    if stream:
        return await progress_response(onboarding, FIELDS, answer)
    await finished(onboarding, FIELDS, request)
    return await while_connected(request, None, answer)


@router.get("/status/{voice_id}")
def onboarding_status(voice_id: str, voices: Voices, owner: Owner) -> OnboardingStatus:
    """Return the progress of an onboarding, or why it failed."""
    return status_of(voices, owner, voice_id)


@router.get("/status/{voice_id}/events", response_class=StreamingResponse, responses=CHANGES)
async def onboarding_events(voice_id: str, voices: Voices, state: State, owner: Owner) -> StreamingResponse:
    """Stream the status: now, at each change, and when the onboarding has ended.

    If the voice is deleted meanwhile, the last event is that error. The stream also ends when the server
    stops.
    """
    return await polled(
        partial(status_of, voices, owner, voice_id),
        lambda now: sse(now.model_dump()),
        lambda now: now.status == "running",
        state.drain,
        POLL_SECONDS,
        told=lambda now: (now.status, now.steps),
    )


@router.post("/test/{voice_id}")
async def try_voice(
    voice_id: str,
    body: Annotated[SampleBody, Depends(sample_body)],
    request: Request,
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
) -> OnboardingAnswer:
    """Synthesise a text in a saved voice."""
    check_text(body.text, "text", state.limits.text_characters)
    profile = await run_in_threadpool(voices.store.profiles.get, owner, voice_id)
    await run_in_threadpool(check_kept_voice, profile, "voice_id", state, owner)
    reference = await while_connected(request, None, partial(voices.reference, profile))
    with blamed_on("text"):
        stream = await run_in_threadpool(cloner.stream, body.text, reference)
    encoder = speech_encoder(cloner.model_id, state)

    def answer() -> OnboardingAnswer:
        speech = stream.speech()
        similarity = voices.similarity(profile, speech.as_spoken)
        return spoken_answer(profile, body.text, speech, similarity, encoder)

    return await while_connected(request, stream, answer)


@router.delete("/{voice_id}")
def delete_voice(voice_id: str, voices: Voices, owner: Owner) -> OnboardingDeleted:
    """Delete a voice and its onboarding session, or the session of a failed onboarding."""
    voices.store.delete(owner, voice_id)
    return OnboardingDeleted(voice_id=voice_id)


def spoken_answer(
    profile: VoiceProfile, text: str, speech: Speech, similarity: float | None, encoder: SpeechEncoder
) -> OnboardingAnswer:
    mp3 = base64.b64encode(encoder.file(speech.samples, "mp3").data).decode("ascii")
    return OnboardingAnswer(
        voice_id=profile.id,
        voice_name=profile.name,
        sample_text=text,
        sample_audio=f"data:audio/mp3;base64,{mp3}",
        used=PartUsed.of(profile),
        findings=find_recording_issues(profile),
        likeness=similarity_of(similarity),
    )


def status_of(voices: VoiceLibrary, owner: str, voice_id: str) -> OnboardingStatus:
    session = voices.store.sessions.get(owner, voice_id)
    profile = voices.store.profiles.get(owner, voice_id) if session.state == "completed" else None
    failed = session.error_code is not None or session.error_message is not None
    return OnboardingStatus(
        voice_id=voice_id,
        voice_name=profile.name if profile else session.voice_name,
        user_id=session.user_id,
        status=session.state,
        steps=[OnboardingStep(**step) for step in session.steps],
        error=OnboardingError(code=session.error_code, message=session.error_message) if failed else None,
        file_name=session.file_name,
        upload_bytes=session.upload_bytes,
        created_at=session.created_at,
        duration_seconds=(session.finished_at or time.time()) - session.created_at,
        used=PartUsed.of(profile) if profile else None,
        findings=find_recording_issues(profile) if profile else None,
        likeness=similarity_of(profile.similarity) if profile else None,
    )
