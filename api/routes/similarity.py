"""/v1/audio/voices/similarity: are two recordings of the same speaker?"""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, File, Form, Request, UploadFile

from api.errors import blamed_on
from api.middleware.auth import Owner
from api.schemas.voices import SimilarityResult
from api.state import State, Voices
from api.streaming import while_connected
from api.uploads import require_form, uploaded_bytes
from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from audio.reference import prepare_reference
from errors import InvalidRequest
from voices.library import VoiceLibrary
from voices.recordings import MAX_UPLOAD_SECONDS
from voices.store.profiles import no_voice

router = APIRouter(prefix="/v1/audio/voices/similarity")


@router.post("", dependencies=[Depends(require_form)])
async def compare_speakers(
    request: Request,
    voices: Voices,
    state: State,
    owner: Owner,
    recording: Annotated[UploadFile, File(description="Audio or video file, 1 s to 5 min.")],
    other: Annotated[UploadFile | None, File(description="Another recording, to compare with.")] = None,
    voice: Annotated[str | None, Form(description="Or a saved voice, by id or name.")] = None,
) -> SimilarityResult:
    """Compare the speakers of two recordings, or of a recording and a saved voice. At most 30 s are used."""
    voices.verifier.require()
    if (other is None) == (not voice):
        message = "Send either another recording as `other`, or the id or name of a saved voice as `voice`."
        raise InvalidRequest(message, code="invalid_value", param="other")
    max_bytes = state.limits.voice_bytes
    data = await uploaded_bytes(recording, "recording", max_bytes)
    more = None if other is None else await uploaded_bytes(other, "other", max_bytes)

    def similarity() -> float:
        with voices.place():
            first = _samples(data, "recording")
            second = _recording_of(voices, owner, voice or "") if more is None else _samples(more, "other")
            return voices.verifier.similarity(first, second, SAMPLE_RATE)

    return SimilarityResult.of(await while_connected(request, None, similarity))


def _samples(data: bytes, param: str) -> np.ndarray:
    """Return the samples of an upload to compare: float32 (N,) at 24 kHz, 1 to 30 s."""
    with blamed_on(param):
        return prepare_reference(decode_audio(data, max_seconds=MAX_UPLOAD_SECONDS)).samples


def _recording_of(voices: VoiceLibrary, owner: str, name: str) -> np.ndarray:
    with blamed_on("voice"):
        profile = voices.store.profiles.find(owner, name)
        if profile is None:
            raise no_voice(name)
        return voices.recording(profile)
