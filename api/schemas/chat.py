"""The bodies of requests and responses, in OpenAI's shapes; unknown request fields are let through."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from api.schemas.fields import RequestBody
from api.schemas.foreign import ForeignChatFields, ForeignVoiceFields
from api.schemas.messages import Message
from audio.delivery import MAX_SEMITONES, MAX_SPEED, MAX_VOLUME_DB, MIN_SPEED, MIN_VOLUME_DB, Delivery
from synthesis.planner import SpeechOptions

AudioFormat = Literal["wav", "mp3", "flac", "opus", "aac", "pcm16"]
SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
OPENAI_VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable"),
    *("marin", "nova", "onyx", "sage", "shimmer", "verse"),
)


def _as_voice_name(voice: Any) -> Any:
    return voice["id"] if isinstance(voice, dict) and set(voice) == {"id"} else voice


class VoiceId(BaseModel):
    """OpenAI's long form of a voice name."""

    id: str


VoiceName = Annotated[str, BeforeValidator(_as_voice_name, json_schema_input_type=str | VoiceId)]


class SoundOfVoice(RequestBody):
    """How the voice sounds. Default: as saved with the voice."""

    speed: float | None = Field(
        default=None, ge=MIN_SPEED, le=MAX_SPEED, description="Times as fast, at the same pitch."
    )
    pitch: float | None = Field(
        default=None, ge=-MAX_SEMITONES, le=MAX_SEMITONES, description="Semitones up, at the same speed."
    )
    volume: float | None = Field(
        default=None,
        ge=MIN_VOLUME_DB,
        le=MAX_VOLUME_DB,
        description="dB louder; peaks stay below full scale.",
    )

    def delivery(self, instructions: str | None) -> Delivery:
        return Delivery(self.speed, self.pitch, self.volume, instructions)


MAX_INSTRUCTIONS_LENGTH = 4_096
Instructions = Annotated[str, Field(max_length=MAX_INSTRUCTIONS_LENGTH)]


class AudioRequest(SoundOfVoice, ForeignVoiceFields):
    """The audio asked for. Extensions: all but `voice` and `format`."""

    voice: VoiceName = Field(
        default="default",
        description="clone: the voice of the input_audio; default or a voice of OpenAI's: the model's own.",
    )
    voices: list[VoiceName] | None = Field(
        default=None, description="The voices of several speakers: [SPEAKER1] in the text calls the second."
    )
    format: AudioFormat = "wav"
    ref_text: str | None = Field(default=None, description="The words spoken in the (first) recording.")
    fallback: Literal["default"] | None = Field(
        default=None,
        description="default: use the default voice where the recording can't serve as a reference.",
    )
    transcribe_reference: bool | None = Field(
        default=None,
        description="Transcribe a recording without ref_text. Default: HIGGS_TRANSCRIBE_REFERENCES.",
    )


class Sampling(RequestBody):
    """Sampling options. Default: the model's own."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    seed: int | None = Field(
        default=None,
        ge=-(2**63),
        lt=2**63,
        description="The same seed gives the same audio; -1, as null, is a random one.",
    )
    max_tokens: int | None = Field(
        default=None, ge=9, validation_alias=AliasChoices("max_tokens", "max_new_tokens")
    )
    max_completion_tokens: int | None = Field(
        default=None, ge=9, description="Longest answer, in columns of 40 ms; the first frame takes 9."
    )

    def sampling(self) -> SpeechOptions:
        # The model counts its seeds from zero; any other stands for itself plus 2**63.
        seed = None if self.seed in (None, -1) else self.seed % 2**63
        return SpeechOptions(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=seed,
            max_steps=self.max_completion_tokens or self.max_tokens,
        )


class StreamOptions(RequestBody):
    include_usage: bool | None = Field(default=None, description="Send a last chunk with the usage.")


class ChatRequest(Sampling, ForeignChatFields):
    """POST /v1/chat/completions. `top_k`, `instructions`, `strip_instruction` and `verify` are extensions."""

    model: str
    messages: list[Message] = Field(min_length=1)
    modalities: list[Literal["text", "audio"]] | None = Field(
        default=None, description='Speech if audio is named or nothing; ["text"]: a recording\'s transcript.'
    )
    audio: AudioRequest | None = None
    n: int | None = 1
    stream: bool | None = Field(default=False, description="Send chunks while the model speaks.")
    stream_options: StreamOptions | None = None
    instructions: Instructions | None = Field(
        default=None,
        description="How to speak, where the model supports it. Default: as saved with the voice.",
    )
    strip_instruction: bool = Field(
        default=True, description="Leave out a leading instruction such as 'Say this in my voice:'."
    )
    verify: bool | None = Field(
        default=None,
        description="Check the speech with the recogniser, retry bad attempts. Default: HIGGS_VERIFY.",
    )


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    error: ErrorDetail


class MessageAudio(BaseModel):
    id: str
    data: str
    expires_at: int
    transcript: str


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: None = None
    refusal: None = None
    audio: MessageAudio


class Choice(BaseModel):
    index: int = 0
    finish_reason: Literal["stop", "length"]
    logprobs: None = None
    message: AnswerMessage


class PromptTokens(BaseModel):
    audio_tokens: int
    text_tokens: int
    cached_tokens: int = 0


class CompletionTokens(BaseModel):
    audio_tokens: int
    text_tokens: int = 0


class Usage(BaseModel):
    """Audio tokens are frames of 40 ms in the answer, and positions of the reference in the prompt."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens
    completion_tokens_details: CompletionTokens


class ReferenceUsed(BaseModel):
    """What of the recording became the voice, in seconds of the recording, and its words where known."""

    seconds: float
    start: float
    end: float
    trimmed: bool
    transcript: str | None = None
    transcript_from: Literal["request", "recognised"] | None = Field(
        default=None, description="recognised: correct it, and send it back as ref_text."
    )


class FaultFound(BaseModel):
    """Something wrong with the speech, from start to end in seconds as the model spoke it: before pauses
    and speed."""

    kind: Literal["silence", "clipping", "loop", "too_short", "too_long", "missing"]
    start: float
    end: float
    message: str


class SpeechQuality(BaseModel):
    """Extension: how many takes were made, what is wrong with this one, and what a verifier heard in it."""

    takes: int
    faults: list[FaultFound]
    heard: str | None = None
    word_error_rate: float | None = None
    note: str | None = Field(default=None, description="Why speech was not verified as asked.")


class VoiceUsed(BaseModel):
    """Extension: which voice speaks, and why where that isn't plain from the request."""

    used: str = Field(description="default, clone, or the id of a kept voice.")
    reference: ReferenceUsed | None = None
    note: str | None = None
    instructions_followed: bool | None = Field(
        default=None, description="Whether this model can be told how to speak; null where nothing was said."
    )


class ChatResponse(BaseModel):
    """An OpenAI ChatCompletion; `voice`, `quality` and `seed` (the same audio again) are extensions."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    voice: VoiceUsed
    seed: int
    quality: SpeechQuality


class ModelCard(BaseModel):
    """`license` and what follows are extensions.

    license:        of the weights; null where they don't say.
    license_notice: what it wants shown to users; null for nothing.
    fallback:       why the bundled model is served instead of the published one; null where it isn't so.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    license: str | None
    license_notice: str | None = None
    fallback: str | None = None


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]
