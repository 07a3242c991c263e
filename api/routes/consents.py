"""/v1/audio/voice_consents: recordings in which speakers agree to be cloned."""

import time
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile

from api.errors import blamed_on
from api.middleware.auth import Owner
from api.paging import After, Limit
from api.schemas.voices import Consent, ConsentChange, ConsentDeleted, ConsentList, Language
from api.state import State, Voices
from api.streaming import while_connected
from api.uploads import require_form, uploaded_bytes
from api.voice_validation import MAX_NAME_LENGTH, label
from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.reference import prepare_reference
from voices.store.tables import VoiceConsent

router = APIRouter(prefix="/v1/audio/voice_consents")

MAX_SECONDS = 60.0


@router.post("", dependencies=[Depends(require_form)])
async def create_consent(
    request: Request,
    voices: Voices,
    state: State,
    owner: Owner,
    name: Annotated[str, Form()],
    language: Annotated[Language, Form(description="Spoken language as a BCP 47 tag such as en-US.")],
    recording: Annotated[UploadFile, File(description="Audio or video file, up to a minute.")],
) -> Consent:
    """Save a recording of a speaker's consent."""
    shown = label(name, "name", MAX_NAME_LENGTH)
    data = await uploaded_bytes(recording, "recording", state.limits.voice_bytes)

    def add() -> Consent:
        with voices.place(), blamed_on("recording"):
            flac = consent_flac(data)
        consent = VoiceConsent(
            id=f"cons_{uuid4().hex}",
            owner=owner,
            created_at=time.time(),
            name=shown,
            language=language,
            flac=flac,
        )
        voices.store.consents.add(consent)
        return Consent.of(consent)

    return await while_connected(request, None, add)


@router.get("")
def list_consents(voices: Voices, owner: Owner, after: After = None, limit: Limit = 20) -> ConsentList:
    """List consents, newest first."""
    page = voices.store.consents.page(owner, after=after, limit=limit)
    return ConsentList(data=[Consent.of(consent) for consent in page.rows], has_more=page.has_more)


@router.get("/{consent_id}")
def retrieve_consent(consent_id: str, voices: Voices, owner: Owner) -> Consent:
    """Return a consent."""
    return Consent.of(voices.store.consents.get(owner, consent_id))


@router.post("/{consent_id}")
def change_consent(consent_id: str, body: ConsentChange, voices: Voices, owner: Owner) -> Consent:
    """Rename a consent."""
    shown = label(body.name, "name", MAX_NAME_LENGTH)
    return Consent.of(voices.store.consents.rename(owner, consent_id, shown))


@router.delete("/{consent_id}")
def delete_consent(consent_id: str, voices: Voices, owner: Owner) -> ConsentDeleted:
    """Delete a consent. Voices linked to it remain, without a consent."""
    voices.store.consents.delete(owner, consent_id)
    return ConsentDeleted(id=consent_id)


def consent_flac(data: bytes) -> bytes:
    """Return the recording as FLAC. Raises InvalidAudio if it is silent or has no voice."""
    samples = decode_audio(data, max_seconds=MAX_SECONDS)
    prepare_reference(samples)
    return encode_audio(samples, "flac").data
