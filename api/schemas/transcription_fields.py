"""Fields of transcriptions that clients send in several forms, and unsupported ones."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.fields import UNSUPPORTED, Refused

# OpenAI's SDKs append brackets to the name of a list; people and other clients don't.
LISTS = (
    *("timestamp_granularities", "languages", "keywords"),
    *("include", "known_speaker_names", "known_speaker_references"),
)
NO_SPEAKERS = Refused("Speakers are not distinguished; omit the known speakers.")
NO_TUNING = Refused("Chunking at pauses can't be configured; send chunking_strategy=auto.")


def _cut_at_pauses(strategy: Any) -> Any:
    """Accept auto, or server_vad without parameters: the default behaviour."""
    plain = "".join(strategy.split()) if isinstance(strategy, str) else strategy
    if plain not in (None, "", "auto", "server_vad", '{"type":"server_vad"}', '{"type":"auto"}'):
        raise PydanticCustomError(UNSUPPORTED, "{why}", {"why": NO_TUNING.why})
    return "auto"


Strategy = Annotated[Any, BeforeValidator(_cut_at_pauses, json_schema_input_type=str)]


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
    chunking_strategy: Strategy = Field(
        default="auto", description="auto: long recordings are split at pauses."
    )
    chunking_type: Strategy = Field(default="auto", alias="chunking_strategy[type]")
    chunking_padding: Annotated[Any, NO_TUNING] = Field(None, alias="chunking_strategy[prefix_padding_ms]")
    chunking_silence: Annotated[Any, NO_TUNING] = Field(None, alias="chunking_strategy[silence_duration_ms]")
    chunking_threshold: Annotated[Any, NO_TUNING] = Field(None, alias="chunking_strategy[threshold]")
    include: Annotated[Any, Refused("Log probabilities are not available; omit include.")] = Field(
        None, alias="include[]"
    )
    known_speaker_names: Annotated[Any, NO_SPEAKERS] = Field(None, alias="known_speaker_names[]")
    known_speaker_references: Annotated[Any, NO_SPEAKERS] = Field(None, alias="known_speaker_references[]")

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
        return merged
