"""/v1/audio/voices/{id}/samples: further recordings of a saved voice."""

from functools import partial
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, File, Form, Request, UploadFile

from api.built_in_voices import refuse_built_in
from api.errors import blamed_on
from api.middleware.auth import Owner
from api.schemas.voices import Voice
from api.state import Cloner, State, Voices
from api.streaming import while_connected
from api.uploads import require_form, uploaded_bytes
from api.voice_validation import transcript
from audio.frames import SAMPLE_RATE

router = APIRouter(prefix="/v1/audio/voices/{voice_id}/samples")


@router.post("", dependencies=[Depends(require_form)])
async def add_sample(
    voice_id: str,
    request: Request,
    cloner: Cloner,
    voices: Voices,
    state: State,
    owner: Owner,
    audio_sample: Annotated[UploadFile, File(description="Audio or video file, 2 s to 5 min, 50 MB.")],
    ref_text: Annotated[
        str | None, Form(description="Transcript of the recording. Default: recognised.")
    ] = None,
) -> Voice:
    """Add the best part of another recording to a voice: up to two, and 60 s in all.

    The published 3B uses all of them; the bundled model and Higgs v3 only the first recording.
    """
    refuse_built_in(cloner, voice_id)
    words = transcript(ref_text, "ref_text")
    data = await uploaded_bytes(audio_sample, "audio_sample", state.limits.voice_bytes)

    def transcribe(samples: np.ndarray) -> str:
        return state.transcriber.transcribe(samples, SAMPLE_RATE).text

    add = partial(voices.add_sample, owner, voice_id, data, words, transcribe)
    with blamed_on("audio_sample"):
        return Voice.of(await while_connected(request, None, add))


@router.delete("/{sample_id}")
def delete_sample(voice_id: str, sample_id: str, cloner: Cloner, voices: Voices, owner: Owner) -> Voice:
    """Remove a further recording."""
    refuse_built_in(cloner, voice_id)
    return Voice.of(voices.store.samples.remove(owner, voice_id, sample_id))
