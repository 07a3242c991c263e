"""The model's own voices, in the format of the voice routes."""

from api.schemas.voices import Voice
from errors import InvalidRequest
from synthesis.references import DEFAULT
from voice_cloning import VoiceCloner


def built_in(cloner: VoiceCloner) -> list[Voice]:
    """Return the default voice and the model's other voices; OpenAI's names map to them."""
    own, default = cloner.built_in_voices.voices, cloner.built_in_voices.default
    twin = f"{default.id}: {default.description}" if default else None

    def voice(id: str, description: str | None, aliases: tuple[str, ...] = ()) -> Voice:
        return Voice(
            id=id,
            name=id,
            created_at=cloner.loaded_at,
            built_in=True,
            description=description,
            aliases=list(aliases),
        )

    return [voice(DEFAULT, twin), *(voice(one.id, one.description, one.answers_to) for one in own)]


def built_in_of(cloner: VoiceCloner, voice_id: str) -> Voice | None:
    """Return the built-in voice with this id, or None."""
    return next((voice for voice in built_in(cloner) if voice.id == voice_id), None)


def refuse_built_in(cloner: VoiceCloner, voice_id: str) -> None:
    """Raise InvalidRequest (voice_built_in) if the id is a built-in voice's."""
    if built_in_of(cloner, voice_id) is not None:
        raise InvalidRequest("The model's own voices can't be changed.", code="voice_built_in")
