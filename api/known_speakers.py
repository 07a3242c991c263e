"""The known speakers of a transcription: by recordings, or by saved voices."""

import numpy as np

from api.errors import blamed_on
from api.schemas.transcription import TranscriptionForm
from api.state import ServerState
from audio.decode import decode_audio, decode_base64_audio
from audio.frames import SAMPLE_RATE
from audio.voice_activity import voice_seconds
from errors import InvalidAudio, InvalidRequest, Loading
from speakers.diarisation import known_embedding
from voices.store.profiles import no_voice

NAMES, REFERENCES = "known_speaker_names[]", "known_speaker_references[]"
MIN_SECONDS, MAX_SECONDS = 2.0, 10.0
TOLERANCE_SECONDS = 0.1  # what encoders add
MIN_VOICE_SECONDS = 1.0


def check_known_speakers(form: TranscriptionForm) -> None:
    """Raise InvalidRequest if the form's known speakers can't be served as they stand."""
    names, references = form.known_speaker_names, form.known_speaker_references
    message, param = None, NAMES
    if (names or references) and not form.diarised:
        message = "Known speakers are told apart only with response_format diarized_json."
        param = NAMES if names else REFERENCES
    elif references and len(references) != len(names):
        message = f"There are {len(names)} names and {len(references)} references; send one for each name."
        param = REFERENCES
    elif len(set(names)) < len(names):
        message = "Two known speakers have the same name; give each a name of its own."
    if message is not None:
        raise InvalidRequest(message, code="invalid_value", param=param)


def known_embeddings(form: TranscriptionForm, state: ServerState, owner: str) -> list[np.ndarray]:
    """Return the embedding of each known speaker, in the order of their names.

    Raises:
        InvalidAudio: a reference can't be read, is too short or too long, or has no speech.
        NotFound: voice_not_found, a reference is neither a data: URL nor a saved voice.
        Loading: the saved voices are not there yet.
    """
    path = REFERENCES if form.known_speaker_references else NAMES
    with blamed_on(path):
        return [
            known_embedding(_samples(reference, state, owner), SAMPLE_RATE, state.speakers)
            for reference in form.known_speaker_references or form.known_speaker_names
        ]


def _samples(reference: str, state: ServerState, owner: str) -> np.ndarray:
    if reference[:5].lower() == "data:":
        return _recording(decode_base64_audio(reference, max_bytes=state.limits.upload_bytes))
    if state.voices is None:
        raise Loading("The model is still being loaded; ask again in a moment.")
    profile = state.voices.store.profiles.find(owner, reference)
    if profile is None:
        error = no_voice(reference)
        error.message += (
            " Send a data: URL with a recording of 2 to 10 s, or the id or name of a saved voice."
        )
        raise error
    return state.voices.recording(profile)


def _recording(data: bytes) -> np.ndarray:
    try:
        samples = decode_audio(data, max_seconds=MAX_SECONDS + TOLERANCE_SECONDS)
    except InvalidAudio as error:
        if error.code != "audio_too_long":
            raise
        message = (
            f"A known speaker's reference is longer than {MAX_SECONDS:g} s; cut it to 2 to 10 s of speech."
        )
        raise InvalidAudio(message, code="audio_too_long") from None
    if len(samples) < (MIN_SECONDS - TOLERANCE_SECONDS) * SAMPLE_RATE:
        message = (
            f"A known speaker's reference has {len(samples) / SAMPLE_RATE:.1f} s; send 2 to 10 s of speech."
        )
        raise InvalidAudio(message, code="audio_too_short")
    if voice_seconds(samples, SAMPLE_RATE) < MIN_VOICE_SECONDS:
        message = "A known speaker's reference has no speech, or too little; send 2 to 10 s of it."
        raise InvalidAudio(message, code="audio_no_speech")
    return samples
