"""Messages of a chat, and their content parts."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.fields import UNSUPPORTED, RequestBody


class InputAudio(RequestBody):
    data: str = Field(description="The file's bytes in base64, with or without a data: URI prefix.")
    format: str | None = Field(default=None, description="Ignored: the format is detected from the content.")


class AudioUrl(RequestBody):
    """vLLM's form of a recording."""

    url: str = Field(description="A data: URI; links are not fetched.")


def _can_be_heard(kind: Any) -> Any:
    if kind in ("image_url", "file"):
        raise PydanticCustomError(UNSUPPORTED, "Images and files are not read; send their text.")
    return kind


class ContentPart(RequestBody):
    """A part of a message. A refusal, which OpenAI's models add to the history, is not spoken."""

    type: Annotated[Literal["text", "input_audio", "audio_url", "refusal"], BeforeValidator(_can_be_heard)]
    text: str | None = None
    input_audio: InputAudio | None = None
    audio_url: AudioUrl | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def _has_the_field_of_its_type(self) -> "ContentPart":
        if getattr(self, self.type) is None:
            raise ValueError(f"a part of type {self.type!r} needs a field {self.type!r}")
        return self

    @property
    def recording(self) -> tuple[str, str] | None:
        """The base64 data of a recording, and the name of its field."""
        if self.input_audio is not None:
            return self.input_audio.data, "input_audio.data"
        return None if self.audio_url is None else (self.audio_url.url, "audio_url.url")


def _as_parts(content: Any) -> Any:
    """Convert a string to one text part, and null to none."""
    if content is None:
        return []
    if not isinstance(content, str | list):
        raise PydanticCustomError("content_type", "Input should be a string or a list of parts")
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class EarlierAudio(RequestBody):
    id: str = Field(description="The audio.id of an earlier answer that hasn't expired.")


class Message(RequestBody):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[
        list[ContentPart],
        BeforeValidator(_as_parts, json_schema_input_type=str | list[ContentPart] | None),
    ] = Field(default_factory=list)
    audio: EarlierAudio | None = None
