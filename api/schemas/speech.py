"""The bodies of /v1/audio/speech and of its batches."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.schemas.chat import (
    ErrorDetail,
    Instructions,
    Sampling,
    SoundOfVoice,
    SpeechFormat,
    SpeechQuality,
    VoiceName,
)
from api.schemas.fields import UNSUPPORTED, Refused, RequestBody
from api.schemas.foreign import ForeignSpeechFields

MAX_ITEMS = 64
NO_DESIGN = "No voice can be made of a description here; send a recording as ref_audio, or name a voice."


def _only_one(recordings: Any) -> Any:
    """vLLM-Omni takes a list, too."""
    if not isinstance(recordings, list):
        return recordings
    if len(recordings) > 1:
        raise PydanticCustomError(
            UNSUPPORTED, "A voice is cloned from one recording; several speakers need `voices`."
        )
    return recordings[0] if recordings else None


def _not_designed(task: str | None) -> str | None:
    if task == "VoiceDesign":
        raise PydanticCustomError(UNSUPPORTED, NO_DESIGN)  # type: ignore[arg-type]
    return task


class SpeechReference(RequestBody):
    """A recording as SGLang-Omni and Boson's cookbook have it; the first of the four that is set counts."""

    audio_path: str | None = Field(default=None, description="Base64 or a data: URI; nothing is fetched.")
    ref_audio: str | None = None
    audio: str | None = None
    data: str | None = None
    text: str | None = Field(default=None, description="The words spoken in it.")
    vq_codes: Annotated[Any, Refused("Codes of another server mean nothing here; send the recording.")] = None

    @model_validator(mode="after")
    def _brings_a_recording(self) -> "SpeechReference":
        if self.recording is None:
            raise ValueError("a reference needs its recording, in audio_path or data, as base64")
        return self

    @property
    def recording(self) -> tuple[str, str] | None:
        """Its base64 data, and the name of the field that holds it."""
        fields = ("audio_path", "ref_audio", "audio", "data")
        found = ((getattr(self, name), name) for name in fields if getattr(self, name))
        return next(found, None)


class SpeechRequest(Sampling, SoundOfVoice, ForeignSpeechFields):
    """POST /v1/audio/speech. Extensions: `voices`, `ref_audio`, `ref_text`, `references`, `task_type`,
    `language`, `stream`, `verify`, `pitch`, `volume`, sampling."""

    model: str
    input: str = Field(description="The text to speak.")
    voice: VoiceName = Field(
        default="default",
        validation_alias=AliasChoices("voice", "speaker"),
        description="As audio.voice of a chat; see ref_audio.",
    )
    voices: list[VoiceName] | None = Field(
        default=None, description="The voices of several speakers: [SPEAKER1] in the text calls the second."
    )
    response_format: SpeechFormat = "mp3"
    instructions: Instructions | None = Field(
        default=None,
        description="How to speak, where the model supports it. Default: as saved with the voice.",
    )
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool | None = Field(
        default=True, description="false: the file at once, its length in its headers; not with sse."
    )
    ref_audio: Annotated[str | None, BeforeValidator(_only_one, json_schema_input_type=str | None)] = Field(
        default=None,
        description="A recording to clone, in base64: whatever `voice` says, or as `clone` of `voices`.",
    )
    ref_text: str | None = Field(default=None, description="The words spoken in ref_audio.")
    references: list[SpeechReference] | None = Field(
        default=None, max_length=1, description="The same as ref_audio and ref_text: one recording."
    )
    task_type: Annotated[
        Literal["Base", "CustomVoice", "VoiceDesign"] | None, AfterValidator(_not_designed)
    ] = Field(default=None, description="Base clones a recording; VoiceDesign is not served.")
    language: str | None = Field(
        default=None, description="A hint: the text itself shows its language. auto and null say nothing."
    )
    verify: bool | None = Field(
        default=None,
        description="Check the speech with the recogniser, retry bad attempts. Default: HIGGS_VERIFY.",
    )

    @model_validator(mode="after")
    def _brings_one_recording(self) -> "SpeechRequest":
        if self.ref_audio and self.references:
            raise ValueError("a recording stands in ref_audio and in references; send one of them")
        return self

    @property
    def recording(self) -> tuple[str, str, str | None] | None:
        """The recording to clone: its base64 data, where it stands, and its words where they are known."""
        if self.references:
            reference = self.references[0]
            assert reference.recording is not None
            data, name = reference.recording
            return data, f"references[0].{name}", reference.text or self.ref_text
        return None if self.ref_audio is None else (self.ref_audio, "ref_audio", self.ref_text)


def _merged(shared: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """An item with what it shares; its own voice outranks a shared one, whatever the field's name."""
    names = ("voice", "speaker")
    outranked = names if any(name in item for name in names) else ()
    return {name: value for name, value in shared.items() if name not in outranked} | item


def _alone(item: Any) -> "SpeechRequest | ValidationError":
    """An item, or what is wrong with it: one that is wrong doesn't keep the others from being spoken."""
    try:
        return SpeechRequest.model_validate(item)
    except ValidationError as error:
        return error


class SpeechBatch(RequestBody):
    """POST /v1/audio/speech/batch, as vLLM-Omni has it: what stands beside `items` holds for each of them.

    The answers are whole files, so that `stream` and `stream_format` mean nothing here.
    """

    items: list[Annotated[Any, BeforeValidator(_alone, json_schema_input_type=SpeechRequest)]] = Field(
        min_length=1, max_length=MAX_ITEMS
    )

    @model_validator(mode="before")
    @classmethod
    def _share(cls, body: Any) -> Any:
        if not isinstance(body, dict) or not isinstance(body.get("items"), list):
            return body
        shared = {name: value for name, value in body.items() if name != "items"}
        items = body["items"]
        return {"items": [_merged(shared, item) if isinstance(item, dict) else item for item in items]}


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
    """What became of a batch; model: the one that spoke."""

    id: str
    model: str
    results: list[SpeechResult]
    total: int
    succeeded: int
    failed: int
