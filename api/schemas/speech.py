"""The bodies of /v1/audio/speech and of its batches."""

from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from api.schemas.chat import (
    ErrorDetail,
    Instructions,
    RequestBody,
    Sampling,
    SoundOfVoice,
    SpeechFormat,
    SpeechQuality,
    VoiceName,
)

MAX_ITEMS = 64


class SpeechRequest(Sampling, SoundOfVoice):
    """POST /v1/audio/speech. Extensions: `voices`, `ref_audio`, `ref_text`, `stream`, `verify`, `pitch`,
    `volume`, sampling."""

    model: str
    input: str = Field(description="The text to speak.")
    voice: VoiceName = Field(default="default", description="As audio.voice of a chat; see ref_audio.")
    voices: list[VoiceName] | None = Field(
        default=None, description="The voices of several speakers: [SPEAKER1] in the text calls the second."
    )
    response_format: SpeechFormat = "mp3"
    instructions: Instructions | None = Field(
        default=None, description="How to speak, for models that can be told; unset: as the voice is kept."
    )
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool | None = Field(
        default=True, description="false: the file at once, its length in its headers; not with sse."
    )
    ref_audio: str | None = Field(
        default=None,
        description="A recording to clone, in base64: whatever `voice` says, or as `clone` of `voices`.",
    )
    ref_text: str | None = Field(default=None, description="The words spoken in ref_audio.")
    verify: bool | None = Field(
        default=None,
        description="Listen to the speech before it goes out, and make a bad one again; unset: as set.",
    )


class SpeechBatch(RequestBody):
    """POST /v1/audio/speech/batch, as vLLM-Omni has it: what stands beside `items` holds for each of them.

    The answers are whole files, so that `stream` and `stream_format` mean nothing here.
    """

    items: list[SpeechRequest] = Field(min_length=1, max_length=MAX_ITEMS)

    @model_validator(mode="before")
    @classmethod
    def _share(cls, body: Any) -> Any:
        if not isinstance(body, dict) or not isinstance(body.get("items"), list):
            return body
        shared = {name: value for name, value in body.items() if name != "items"}
        return {"items": [shared | item if isinstance(item, dict) else item for item in body["items"]]}


class SpeechResult(BaseModel):
    """The file of one item in base64, or why there is none."""

    index: int
    status: Literal["success", "error"]
    audio_data: str | None = None
    media_type: str | None = None
    voice_used: str | None = None
    instructions_followed: bool | None = None
    quality: SpeechQuality | None = None
    error: ErrorDetail | None = None


class SpeechResults(BaseModel):
    id: str
    results: list[SpeechResult]
    total: int
    succeeded: int
    failed: int
