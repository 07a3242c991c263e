"""/v1/audio/voices/check: what of a recording would become a voice, and what is wrong with it."""

from typing import Annotated

from fastapi import APIRouter, Depends, File, UploadFile
from fastapi.concurrency import run_in_threadpool

from api.errors import blamed_on
from api.schemas.voices import RecordingCheck
from api.state import State, Voices
from api.uploads import require_form, uploaded_bytes

router = APIRouter(prefix="/v1/audio/voices/check")


@router.post("", dependencies=[Depends(require_form)])
async def check_recording(
    voices: Voices,
    state: State,
    audio_sample: Annotated[UploadFile, File(description="Audio or video file, 2 s to 5 min, 50 MB.")],
) -> RecordingCheck:
    """Tell which part of a recording would become a voice, and its problems; nothing is saved."""
    data = await uploaded_bytes(audio_sample, "audio_sample", state.limits.voice_bytes)
    with blamed_on("audio_sample"):
        return RecordingCheck.of(await run_in_threadpool(voices.check, data))
