"""The configuration of a Realtime session: updates, validation, and the client's view of it."""

from typing import Any

from pydantic import ValidationError

from api.errors import blamed_on, invalid_field
from api.model_names import check_model
from api.schemas.realtime import SessionConfig
from api.state import ServerState
from api.voice_resolution import CLONE, VoiceRequest, choose_voice
from errors import InvalidRequest
from voice_cloning import VoiceCloner

# Objects whose fields are updated individually; all others are replaced.
NESTED = ("audio", "input", "output")
# What the client is shown of the extensions, where it is set.
EXTENSIONS = (
    "seed",
    "temperature",
    "top_p",
    "top_k",
    "pronunciations",
    "timestamp_granularities",
    "caption_format",
)


def merged(config: SessionConfig, update: dict[str, Any]) -> dict[str, Any]:
    """Return the session updated with the given fields. An empty text or list clears a field."""
    return _merged(config.model_dump(), update)


def _merged(old: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    nested = {
        name: _merged(old.get(name) or {}, value)
        for name, value in update.items()
        if name in NESTED and isinstance(value, dict)
    }
    return {**old, **update, **nested}


def session_of(fields: dict[str, Any], cloner: VoiceCloner, state: ServerState) -> SessionConfig:
    """Return the validated session.

    Raises:
        InvalidRequest: a field can't be served.
        NotFound: another model's name.
    """
    try:
        config = SessionConfig.model_validate(fields)
    except ValidationError as error:
        issue = error.errors(include_url=False)[0]
        raise invalid_field({**issue, "loc": ("session", *issue["loc"])}) from None
    transcription = config.audio.input.transcription
    with blamed_on("session.model"):
        if config.model is not None:
            known = state.model_names if config.type == "transcription" else [cloner.model_id]
            check_model(config.model, known)
    with blamed_on("session.audio.input.transcription.model"):
        if transcription is not None and transcription.model is not None:
            check_model(transcription.model, state.model_names)
    try:
        cloner.check_pronunciations(config.pronunciations or {})
    except InvalidRequest as error:
        error.param = "session.pronunciations"
        raise
    return config


def check_voice(config: SessionConfig, cloner: VoiceCloner, state: ServerState, owner: str) -> None:
    """Check the voice; that of "clone" comes later. May block. Raises what choose_voice lists."""
    voice = config.audio.output.voice
    if voice != CLONE:
        asked = VoiceRequest(voice, "session.audio.output.voice", consent=config.consent)
        choose_voice(asked, cloner, state, owner)


def wire_of(config: SessionConfig, id: str, model: str) -> dict[str, Any]:
    """Return the session as sent to the client: everything that is in effect."""
    transcribes = config.type == "transcription"
    sound = config.audio.model_dump()
    sound["input"]["format"] = config.audio.input.format.wire
    sound["output"]["format"] = config.audio.output.format.wire
    sound["output"]["speed"] = config.audio.output.speed or 1.0
    if transcribes:
        return {
            "type": config.type,
            "object": "realtime.transcription_session",
            "id": id,
            "audio": {"input": sound["input"]},
            "include": None,
        }
    return {
        "type": config.type,
        "object": "realtime.session",
        "id": id,
        "model": config.model or model,
        "output_modalities": ["audio"],
        "instructions": config.instructions or "",
        "tools": [],
        "tool_choice": "none",
        "max_output_tokens": config.max_output_tokens,
        "truncation": "auto",
        "tracing": None,
        "prompt": None,
        "include": None,
        "audio": sound,
        **{name: value for name in EXTENSIONS if (value := getattr(config, name)) is not None},
    }
