"""/v1/audio/voices: create, list, edit, preview and delete voices."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from api.built_in_voices import built_in, built_in_of, refuse_built_in
from api.errors import blamed_on
from api.middleware.auth import Owner
from api.onboarding_progress import VOICE_FIELDS, consent_check, finished, ordered, transcriber_for
from api.outgoing import speech_encoder
from api.paging import After, Limit
from api.schemas.chat import OPENAI_VOICES, SoundOfVoice, SpeechFormat
from api.schemas.foreign import PROMPTED_VOICE
from api.schemas.voices import Voice, VoiceChange, VoiceDeleted, VoiceList, VoiceOption
from api.speaker_consent import check_kept_voice
from api.state import Cloner, State, Voices
from api.streaming import while_connected
from api.text_validation import check_text
from api.uploads import file_name, require_form, uploaded_bytes
from api.voice_validation import (
    TRIAL_TEXT,
    delivery,
    dictionary,
    pronunciations_of,
    transcript,
    user_name,
    voice_name,
)
from audio.delivery import MAX_SEMITONES, MAX_SPEED, MAX_VOLUME_DB, MIN_SPEED, MIN_VOLUME_DB
from errors import InvalidRequest
from synthesis.references import DEFAULT, VoiceReference
from voices.voice_order import VoiceOrder

router = APIRouter(prefix="/v1/audio/voices")

UNSAID = "Default for requests with this voice:"
FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}}
}


async def refuse_description(request: Request) -> None:
    """Refuse OpenAI's voices from descriptions, in JSON or a form, with a helpful message."""
    is_json = request.headers.get("content-type", "").startswith("application/json")
    try:
        body = await request.json() if is_json else await request.form()
    except (ValueError, RecursionError):
        return  # invalid JSON is refused elsewhere
    if isinstance(body, Mapping):
        asked = [name for name in ("prompt", "script_hint", "speaker_embedding") if body.get(name)]
        asked += ["type"] if body.get("type") == "prompt" else []
        if asked:
            raise InvalidRequest(PROMPTED_VOICE, code="unsupported", param=asked[0])


@router.post("", dependencies=[Depends(refuse_description), Depends(require_form)])
async def create_voice(
    request: Request,
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
    name: Annotated[str, Form()],
    audio_sample: Annotated[UploadFile, File(description="Audio or video file, 2 s to 5 min, 50 MB.")],
    consent: Annotated[str, Form(description="Id of a consent.")] = "",
    verify_consent: Annotated[
        bool | None, Form(description="Require that the consent is of the same speaker.")
    ] = None,
    transcribe_reference: Annotated[
        bool | None, Form(description="Transcribe the recording if there is no ref_text.")
    ] = None,
    ref_text: Annotated[str | None, Form(description="Transcript of the sample.")] = None,
    user_id: Annotated[str, Form(description="The voice's user, among those of this API key.")] = "",
    speed: Annotated[
        float | None, Form(ge=MIN_SPEED, le=MAX_SPEED, description=f"{UNSAID} speed factor.")
    ] = None,
    pitch: Annotated[
        float | None,
        Form(ge=-MAX_SEMITONES, le=MAX_SEMITONES, description=f"{UNSAID} pitch shift in semitones."),
    ] = None,
    volume: Annotated[
        float | None, Form(ge=MIN_VOLUME_DB, le=MAX_VOLUME_DB, description=f"{UNSAID} gain in dB.")
    ] = None,
    instructions: Annotated[str | None, Form(description=f"{UNSAID} how to speak.")] = None,
    pronunciations: Annotated[str, Form(description=f"{UNSAID} how to say words, as JSON.")] = "",
) -> Voice:
    """Create a voice from the best part of a recording."""
    sound = SoundOfVoice(speed=speed, pitch=pitch, volume=volume)
    order = VoiceOrder(
        owner=owner,
        user_id=user_name(user_id, "user_id"),
        name=voice_name(name, "name"),
        file_name=file_name(audio_sample),
        transcript=transcript(ref_text, "ref_text"),
        delivery=delivery(sound, instructions, "instructions"),
        pronunciations=dictionary(pronunciations, cloner),
        transcribe=transcriber_for(state, transcribe_reference),
        consent_id=consent or None,
        verify_consent=consent_check(state, voices, consent, verify_consent),
        upload=await uploaded_bytes(audio_sample, "audio_sample", state.limits.voice_bytes),
    )
    onboarding = await ordered(voices, order, VOICE_FIELDS)
    await finished(onboarding, VOICE_FIELDS, request)
    assert onboarding.profile is not None
    return Voice.of(onboarding.profile)


@router.get("")
def list_voices(
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
    after: After = None,
    limit: Limit = 20,
    user_id: Annotated[str | None, Query(description="Only this user's voices.")] = None,
) -> VoiceList:
    """List the model's own voices, on the first page, and the saved ones, newest first."""
    page = voices.store.profiles.page(owner, after=after, limit=limit, user_id=user_id)
    own, openai = (built_in(cloner), OPENAI_VOICES) if after is None else ([], ())
    data = own + [Voice.of(profile) for profile in page.rows]
    named = [(voice.id, voice.name) for voice in data] + [(name, name) for name in openai]
    options = [VoiceOption(id=id, name=name) for id, name in named]
    aliases = {**state.voice_aliases, **voices.store.profiles.aliases(owner)}
    return VoiceList(data=data, has_more=page.has_more, voices=options, aliases=aliases)


@router.get("/{voice_id}")
def retrieve_voice(voice_id: str, cloner: Cloner, voices: Voices, owner: Owner) -> Voice:
    """Return a voice."""
    if (own := built_in_of(cloner, voice_id)) is not None:
        return own
    return Voice.of(voices.store.profiles.get(owner, voice_id))


@router.patch("/{voice_id}")
def change_voice(voice_id: str, body: VoiceChange, cloner: Cloner, voices: Voices, owner: Owner) -> Voice:
    """Edit a voice: its name, the transcript of its recording, its default delivery, or its aliases."""
    refuse_built_in(cloner, voice_id)
    given = body.model_fields_set
    name = voice_name(body.name or "", "name") if "name" in given else None
    words = transcript(body.ref_text, "ref_text") or "" if "ref_text" in given else None
    asked = asdict(delivery(body, body.instructions, "instructions"))
    changes = {column: value for column, value in asked.items() if column in given}
    profiles = voices.store.profiles
    profiles.get(owner, voice_id)
    entries = pronunciations_of(body, cloner)
    with blamed_on("name"):
        changed = profiles.change(
            owner,
            voice_id,
            name=name,
            transcript=words,
            delivery=changes,
            pronunciations=entries,
            aliases=set(body.aliases or ()) if "aliases" in given else None,
        )
    return Voice.of(changed)


@router.delete("/{voice_id}")
def delete_voice(voice_id: str, cloner: Cloner, voices: Voices, owner: Owner) -> VoiceDeleted:
    """Delete a voice and its recordings."""
    refuse_built_in(cloner, voice_id)
    voices.store.delete(owner, voice_id)
    return VoiceDeleted(id=voice_id)


@router.get("/{voice_id}/preview", response_class=Response, responses=FILE)
async def preview_voice(
    voice_id: str,
    request: Request,
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
    text: str = TRIAL_TEXT,
    response_format: SpeechFormat = "mp3",
) -> Response:
    """Synthesise a text in a voice; as a GET, the URL can be used in a web page."""
    check_text(text, "text", state.limits.text_characters)

    def chosen() -> VoiceReference | None:
        if built_in_of(cloner, voice_id) is not None:
            return cloner.built_in(None if voice_id == DEFAULT else voice_id)
        profile = voices.store.profiles.get(owner, voice_id)
        check_kept_voice(profile, "voice_id", state, owner)
        return voices.reference(profile)

    reference = await while_connected(request, None, chosen)
    with blamed_on("text"):
        stream = await run_in_threadpool(cloner.stream, text, reference)
    speech = await while_connected(request, stream, stream.speech)
    encoder = speech_encoder(cloner.model_id, state)
    encoded = await while_connected(request, None, partial(encoder.file, speech.samples, response_format))
    return Response(encoded.data, media_type=encoded.content_type)


@router.get("/{voice_id}/recording", response_class=Response, responses=FILE)
def voice_recording(voice_id: str, voices: Voices, owner: Owner) -> Response:
    """Return the recording that the voice was made from, as FLAC."""
    return Response(voices.store.profiles.sample(owner, voice_id).flac, media_type="audio/flac")
