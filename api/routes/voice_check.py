"""/v1/audio/voices/check: what of a recording would become a voice, and what is wrong with it."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, File, Request, UploadFile

from api.errors import blamed_on
from api.schemas.voices import RecordingCheck
from api.state import State, Voices
from api.streaming import while_connected
from api.uploads import require_form, uploaded_bytes

router = APIRouter(prefix="/v1/audio/voices/check")


@router.post("", dependencies=[Depends(require_form)])
async def check_recording(
    request: Request,
    voices: Voices,
    state: State,
    audio_sample: Annotated[UploadFile, File(description="Audio or video file, 2 s to 5 min, 50 MB.")],
) -> RecordingCheck:
    """Tell which part of a recording would become a voice, and its problems; nothing is saved."""
    data = await uploaded_bytes(audio_sample, "audio_sample", state.limits.voice_bytes)
    with blamed_on("audio_sample"):
        return RecordingCheck.of(await while_connected(request, None, partial(voices.check, data)))
