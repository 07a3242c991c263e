"""Fields of transcriptions that clients send in several forms, and unsupported ones."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from api.schemas.fields import Refused
from asr.transcript import Chunking

# OpenAI's SDKs append brackets to the name of a list; people and other clients don't.
LISTS = (
    "timestamp_granularities",
    "languages",
    "keywords",
    "include",
    "known_speaker_names",
    "known_speaker_references",
)
MAX_MILLISECONDS = 5_000
MAX_KNOWN_SPEAKERS = 4
KnownSpeaker = Annotated[str, Field(min_length=1, max_length=100)]
STRATEGY = "chunking_strategy"


class ServerVad(BaseModel):
    """How voice activity detection cuts a recording."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: Literal["server_vad"]
    threshold: float = Field(default=0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=MAX_MILLISECONDS)
    silence_duration_ms: int = Field(default=200, ge=0, le=MAX_MILLISECONDS)

    @property
    def chunking(self) -> Chunking:
        return Chunking(self.threshold, self.prefix_padding_ms / 1000, self.silence_duration_ms / 1000)


def _strategy(value: Any) -> Any:
    """Read "auto", "server_vad", or an object, also as JSON in a string; None is auto."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("it is not valid JSON; send auto, or an object of the type server_vad") from None
    if value in (None, "", "auto", {"type": "auto"}):
        return None
    return {"type": value} if isinstance(value, str) else value


class TranscriptionFields(BaseModel):
    """Alternative and unsupported fields of a form."""

    model_config = ConfigDict(extra="ignore", frozen=True, str_min_length=0)

    languages: list[str] = Field(
        default=[],
        alias="languages[]",
        description="Possible languages; a single one is used as `language`.",
    )
    keywords: list[str] = Field(
        default=[], alias="keywords[]", description="Expected words, added to the prompt; Whisper only."
    )
    chunking_strategy: Annotated[ServerVad | None, BeforeValidator(_strategy)] = Field(
        default=None,
        description="auto (default): long recordings are split at pauses. server_vad, or an object of this "
        "type with threshold, prefix_padding_ms, silence_duration_ms: where voice activity detection says.",
    )
    include: Annotated[Any, Refused("Log probabilities are not available; omit include.")] = Field(
        None, alias="include[]"
    )
    known_speaker_names: list[KnownSpeaker] = Field(
        default=[],
        alias="known_speaker_names[]",
        max_length=MAX_KNOWN_SPEAKERS,
        description="With diarized_json: names of speakers, in the order of their references.",
    )
    known_speaker_references: list[str] = Field(
        default=[],
        alias="known_speaker_references[]",
        max_length=MAX_KNOWN_SPEAKERS,
        description="Recordings of them as data: URLs, 2 to 10 s. Extension: ids or names of saved voices. "
        "Without references, the names are those of saved voices.",
    )

    @property
    def chunking(self) -> Chunking | None:
        return None if self.chunking_strategy is None else self.chunking_strategy.chunking

    @model_validator(mode="before")
    @classmethod
    def _brackets_may_be_missing(cls, form: Any) -> Any:
        if not isinstance(form, dict):
            return form
        merged = dict(form)
        for name in LISTS:
            plain = merged.pop(name, None)
            if plain and not merged.get(f"{name}[]"):
                merged[f"{name}[]"] = plain if isinstance(plain, list) else [plain]
        parts = {
            field: merged.pop(f"{STRATEGY}[{field}]", None)
            for field in ServerVad.model_fields
            if f"{STRATEGY}[{field}]" in merged
        }
        given = {field: value for field, value in parts.items() if value not in (None, "")}
        if given and not merged.get(STRATEGY):
            merged[STRATEGY] = given
        return merged
