"""Create several voices in one request, and export and import voices."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import Response
from pydantic import ValidationError

from api.errors import blamed_on, error_detail
from api.middleware.auth import Owner
from api.middleware.rate_limits import charge
from api.onboarding_progress import VOICE_FIELDS, consent_check, finished, ordered
from api.schemas.voices import BatchAnswer, BatchResult, Voice, VoiceChange
from api.state import Cloner, State, Voices
from api.streaming import while_connected
from api.uploads import file_name, require_form, uploaded_bytes
from api.voice_validation import delivery, readable, transcript, user_name, voice_name
from audio.delivery import Delivery
from errors import Cancelled, InvalidRequest
from voice_cloning import VoiceCloner
from voices.bundle import Bundle
from voices.library import VoiceLibrary, delivery_of
from voices.store.tables import VoiceProfile
from voices.voice_order import VoiceOrder

router = APIRouter(prefix="/v1/audio/voices")

MAX_FILES = 20
ZIP = "application/zip"


@router.post("/batch", dependencies=[Depends(require_form)])
async def create_voices(
    request: Request,
    voices: Voices,
    state: State,
    owner: Owner,
    audio_samples: Annotated[list[UploadFile], File(description="Up to 20 files, one per voice.")],
    names: Annotated[list[str], Form(description="One name per file. Default: the file names.")] = [],  # noqa: B006
    user_id: Annotated[str, Form()] = "",
) -> BatchAnswer:
    """Create a voice from each file. Each has its own result; a failure doesn't affect the others."""
    if len(audio_samples) > MAX_FILES:
        message = f"{len(audio_samples)} files were sent; the maximum per request is {MAX_FILES}."
        raise InvalidRequest(message, code="invalid_value", param="audio_samples")
    if names and len(names) != len(audio_samples):
        message = f"There are {len(names)} names for {len(audio_samples)} files; send one per file, or none."
        raise InvalidRequest(message, code="invalid_value", param="names")
    await charge(request, len(audio_samples))
    consent_check(state, voices, "")
    user, results = user_name(user_id, "user_id"), []
    for index, upload in enumerate(audio_samples):
        result = BatchResult(index=index, file_name=file_name(upload))
        try:
            name = voice_name(names[index] if names else Path(result.file_name).stem, "names")
            data = await uploaded_bytes(upload, "audio_samples", state.limits.voice_bytes)
            order = VoiceOrder(owner=owner, user_id=user, name=name, file_name=result.file_name, upload=data)
            result.voice = await _made(voices, order, request)
        except Cancelled:
            raise
        except Exception as error:  # a file that fails must not affect the others
            if isinstance(error, InvalidRequest):
                error.param = error.param or "audio_samples"
            result.error = error_detail(error)
        results.append(result)
    return BatchAnswer(data=results)


async def _made(voices: VoiceLibrary, order: VoiceOrder, request: Request) -> Voice:
    onboarding = await ordered(voices, order, VOICE_FIELDS)
    await finished(onboarding, VOICE_FIELDS, request)
    assert onboarding.profile is not None
    return Voice.of(onboarding.profile)


@router.get("/{voice_id}/export", response_class=Response, responses={200: {"content": {ZIP: {}}}})
def export_voice(voice_id: str, voices: Voices, owner: Owner) -> Response:
    """Return a voice as a file that any server can import."""
    profile = voices.store.profiles.get(owner, voice_id)
    samples = voices.store.samples
    bundle = Bundle(
        name=profile.name,
        transcript=profile.transcript,
        source_seconds=profile.source_seconds,
        start_seconds=profile.start_seconds,
        end_seconds=profile.end_seconds,
        flac=voices.store.profiles.sample(owner, voice_id).flac,
        delivery=asdict(delivery_of(profile)),
        pronunciations=profile.pronunciations or {},
        samples=tuple((each.transcript, samples.recording(each)) for each in profile.samples),
    )
    headers = {"content-disposition": f'attachment; filename="{voice_id}.zip"'}
    return Response(bundle.packed(), media_type=ZIP, headers=headers)


@router.post("/import", dependencies=[Depends(require_form)])
async def import_voice(
    request: Request,
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
    file: Annotated[UploadFile, File(description="A file from the export route.")],
    name: Annotated[str | None, Form(description="Name of the voice. Default: as exported.")] = None,
    user_id: Annotated[str, Form()] = "",
) -> Voice:
    """Save an exported voice."""
    user = user_name(user_id, "user_id")
    consent_check(state, voices, "")
    data = await uploaded_bytes(file, "file", state.limits.voice_bytes)

    def restored() -> VoiceProfile:
        with voices.place(), blamed_on("file"):
            bundle = Bundle.unpacked(data)
            words, spoken = transcript(bundle.transcript, "file"), described_delivery(bundle)
            chosen = voice_name(bundle.name, "file") if name is None else voice_name(name, "name")
            samples = tuple((transcript(said, "file") or "", flac) for said, flac in bundle.samples)
            entries = described_pronunciations(bundle, cloner)
            worded = replace(bundle, transcript=words, samples=samples, pronunciations=entries)
            return voices.restore(owner, user, chosen, worded, spoken)

    return Voice.of(await while_connected(request, None, restored))


def described_pronunciations(bundle: Bundle, cloner: VoiceCloner) -> dict[str, str]:
    """The pronunciations in a bundle. InvalidRequest: they can't be applied here."""
    if not all(isinstance(said, str) for said in bundle.pronunciations.values()):
        wrong = "The file is not an exported voice: invalid pronunciations in voice.json."
        raise InvalidRequest(wrong, code="voice_file_invalid")
    return readable(bundle.pronunciations, cloner, "file")


def described_delivery(bundle: Bundle) -> Delivery:
    """Return a bundle's delivery, validated. Raises InvalidRequest (voice_file_invalid)."""
    try:
        change = VoiceChange.model_validate(bundle.delivery)
    except ValidationError as error:
        field = error.errors()[0]["loc"][0]
        wrong = f"The file is not an exported voice: invalid delivery.{field} in voice.json."
        raise InvalidRequest(wrong, code="voice_file_invalid") from error
    return delivery(change, change.instructions, "file")
