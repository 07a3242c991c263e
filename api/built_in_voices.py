"""The model's own voices, as the routes of voices show them."""

from api.schemas.voices import Voice
from api.voice_resolution import DEFAULT
from errors import InvalidRequest
from voice_cloning import VoiceCloner


def built_in(cloner: VoiceCloner) -> list[Voice]:
    """The default voice and the others that the model brings; OpenAI's names are spoken by them."""
    ids = [DEFAULT, *(voice.id for voice in cloner.built_in_voices.voices)]
    return [Voice(id=id, name=id, created_at=cloner.loaded_at, built_in=True) for id in ids]


def built_in_of(cloner: VoiceCloner, voice_id: str) -> Voice | None:
    """The model's voice of an id; None where that is no voice of the model."""
    return next((voice for voice in built_in(cloner) if voice.id == voice_id), None)


def refuse_built_in(cloner: VoiceCloner, voice_id: str) -> None:
    """InvalidRequest (voice_built_in) for the id of a voice that the model brings."""
    if built_in_of(cloner, voice_id) is not None:
        raise InvalidRequest("The model's own voices can't be changed.", code="voice_built_in")
