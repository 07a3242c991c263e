"""Bodies of /v1/audio/speech and its batches."""

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
    VoiceUsed,
)
from api.schemas.consent import Attested
from api.schemas.fields import UNSUPPORTED, Refused, RequestBody
from api.schemas.foreign import ForeignSpeechFields
from api.schemas.pronunciations import Pronounced
from api.schemas.timestamps import Timed, Timestamps

MAX_ITEMS = 64
NO_DESIGN = "Voices can't be made from a description; send a recording as ref_audio, or name a voice."


def _only_one(recordings: Any) -> Any:
    """Accept a list of one recording, as vLLM-Omni does."""
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
    """A recording in the format of SGLang-Omni and Boson's cookbook; the first of the four fields counts."""

    audio_path: str | None = Field(default=None, description="Base64 or a data: URI; links are not fetched.")
    ref_audio: str | None = None
    audio: str | None = None
    data: str | None = None
    text: str | None = Field(default=None, description="Transcript of the recording.")
    vq_codes: Annotated[Any, Refused("Another server's codes can't be used; send the recording.")] = None

    @model_validator(mode="after")
    def _brings_a_recording(self) -> "SpeechReference":
        if self.recording is None:
            raise ValueError("a reference needs its recording, in audio_path or data, as base64")
        return self

    @property
    def recording(self) -> tuple[str, str] | None:
        """Its base64 data, and the name of its field."""
        fields = ("audio_path", "ref_audio", "audio", "data")
        found = ((getattr(self, name), name) for name in fields if getattr(self, name))
        return next(found, None)


class SpeechFields(Sampling, SoundOfVoice, Attested, Pronounced, ForeignSpeechFields):
    """What bodies that have a text spoken have in common. Extensions: `voices`, `ref_audio`, `ref_text`,
    `references`, `consent`, `task_type`, `language`, `verify`, `pitch`, `volume`, sampling."""

    model: str
    voice: VoiceName = Field(
        default="default",
        validation_alias=AliasChoices("voice", "speaker"),
        description="A voice as in audio.voice of a chat; to clone a recording, see ref_audio.",
    )
    voices: list[VoiceName] | None = Field(
        default=None, description="Voices of several speakers; [SPEAKER1] in the text switches to the second."
    )
    instructions: Instructions | None = Field(
        default=None,
        description="How to speak, if the model supports it. Default: as saved with the voice.",
    )
    ref_audio: Annotated[str | None, BeforeValidator(_only_one, json_schema_input_type=str | None)] = Field(
        default=None,
        description="A recording to clone, in base64. Overrides `voice`; in `voices` it is `clone`.",
    )
    ref_text: str | None = Field(default=None, description="Transcript of ref_audio.")
    references: list[SpeechReference] | None = Field(
        default=None, max_length=1, description="One recording, as an alternative to ref_audio and ref_text."
    )
    task_type: Annotated[
        Literal["Base", "CustomVoice", "VoiceDesign"] | None, AfterValidator(_not_designed)
    ] = Field(default=None, description="Base clones a recording; VoiceDesign is not supported.")
    language: str | None = Field(
        default=None, description="Only a hint: the language is detected from the text. Default: auto."
    )
    verify: bool | None = Field(
        default=None,
        description="Check the speech with the recogniser, repeat bad attempts. Default: HIGGS_VERIFY.",
    )

    @model_validator(mode="after")
    def _brings_one_recording(self) -> "SpeechFields":
        if self.ref_audio and self.references:
            raise ValueError("both ref_audio and references have a recording; send one of them")
        return self

    @property
    def recording(self) -> tuple[str, str, str | None] | None:
        """The recording to clone: base64 data, the name of its field, and its transcript if known."""
        if self.references:
            reference = self.references[0]
            assert reference.recording is not None
            data, name = reference.recording
            return data, f"references[0].{name}", reference.text or self.ref_text
        return None if self.ref_audio is None else (self.ref_audio, "ref_audio", self.ref_text)


class SpeechRequest(SpeechFields, Timestamps):
    """POST /v1/audio/speech. Extensions: `stream`, `pronunciations`, `timestamp_granularities`,
    `caption_format`, `word_timestamps`."""

    input: str = Field(description="The text to speak.")
    response_format: SpeechFormat = "mp3"
    stream_format: Literal["audio", "sse"] = "audio"
    stream: bool | None = Field(
        default=True, description="false: the file at once, its length in its headers; not with sse."
    )
    word_timestamps: bool | None = Field(
        default=None,
        description="vLLM-Omni's: the complete file, word times in the header x-word-timestamps.",
    )

    @property
    def wants_words(self) -> bool:
        """Events have the words, however they are asked for."""
        return bool(self.timestamp_granularities or (self.word_timestamps and self.stream_format == "sse"))


def _merged(shared: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """Merge shared fields into an item; its own voice overrides a shared one under either name."""
    names = ("voice", "speaker")
    outranked = names if any(name in item for name in names) else ()
    return {name: value for name, value in shared.items() if name not in outranked} | item


def _alone(item: Any) -> "SpeechRequest | ValidationError":
    """Validate an item; return the error, so that an invalid item doesn't fail the others."""
    try:
        return SpeechRequest.model_validate(item)
    except ValidationError as error:
        return error


class SpeechBatch(RequestBody):
    """POST /v1/audio/speech/batch, in vLLM-Omni's format: fields beside `items` apply to each item.

    Results are complete files; `stream` and `stream_format` have no effect.
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


class TimedSpeech(Timed):
    """A file in base64, with the times of its words."""

    audio: str
    media_type: str
    seed: int
    finish_reason: Literal["stop", "length"]
    voice: VoiceUsed
    quality: SpeechQuality


class SpeechResult(Timed):
    """The file of one item in base64, or its error."""

    index: int
    status: Literal["success", "error"]
    audio_data: str | None = None
    media_type: str | None = None
    voice_used: str | None = None
    instructions_followed: bool | None = None
    quality: SpeechQuality | None = None
    error: ErrorDetail | None = None


class SpeechResults(BaseModel):
    """Results of a batch; `model` is the model that spoke."""

    id: str
    model: str
    results: list[SpeechResult]
    total: int
    succeeded: int
    failed: int
