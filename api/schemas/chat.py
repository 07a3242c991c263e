"""Bodies of chat requests and responses, in OpenAI's format. Unknown request fields are ignored."""

from typing import Annotated, Any, Literal, get_args

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from api.schemas.consent import Attested
from api.schemas.fields import RequestBody
from api.schemas.foreign import ForeignChatFields, ForeignVoiceFields
from api.schemas.messages import Message
from api.schemas.pronunciations import Pronounced
from api.schemas.timestamps import Timed, Timestamps
from audio.delivery import MAX_SEMITONES, MAX_SPEED, MAX_VOLUME_DB, MIN_SPEED, MIN_VOLUME_DB, Delivery
from synthesis.options import SpeechOptions

AudioFormat = Literal["wav", "mp3", "flac", "opus", "aac", "pcm16"]
SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
OpenAIVoice = Literal[
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
]
OPENAI_VOICES: tuple[str, ...] = get_args(OpenAIVoice)


def _as_voice_name(voice: Any) -> Any:
    return voice["id"] if isinstance(voice, dict) and set(voice) == {"id"} else voice


class VoiceId(BaseModel):
    """OpenAI's object form of a voice name."""

    id: str


VoiceName = Annotated[str, BeforeValidator(_as_voice_name, json_schema_input_type=str | VoiceId)]


class SoundOfVoice(RequestBody):
    """Speed, pitch and volume of the voice. Default: as saved with the voice."""

    speed: float | None = Field(
        default=None, ge=MIN_SPEED, le=MAX_SPEED, description="Speed factor, at the same pitch."
    )
    pitch: float | None = Field(
        default=None,
        ge=-MAX_SEMITONES,
        le=MAX_SEMITONES,
        description="Pitch shift in semitones, at the same speed.",
    )
    volume: float | None = Field(
        default=None,
        ge=MIN_VOLUME_DB,
        le=MAX_VOLUME_DB,
        description="Gain in dB; peaks stay below full scale.",
    )

    def delivery(self, instructions: str | None) -> Delivery:
        return Delivery(self.speed, self.pitch, self.volume, instructions)


MAX_INSTRUCTIONS_LENGTH = 4_096
Instructions = Annotated[str, Field(max_length=MAX_INSTRUCTIONS_LENGTH)]


class AudioRequest(SoundOfVoice, Attested, ForeignVoiceFields):
    """The requested audio. Extensions: all fields but `voice` and `format`."""

    voice: VoiceName = Field(
        default="default",
        description="clone: the voice of the input_audio; default or an OpenAI voice: the model's own; or the"
        " id or name of a saved voice.",
    )
    voices: list[VoiceName] | None = Field(
        default=None, description="Voices of several speakers; [SPEAKER1] in the text switches to the second."
    )
    format: AudioFormat = "wav"
    ref_text: str | None = Field(default=None, description="Transcript of the (first) recording.")
    fallback: Literal["default"] | None = Field(
        default=None,
        description="default: use the default voice if the recording can't be used as a reference.",
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
        description="The same seed gives the same audio; null or -1 for a random seed.",
    )
    max_tokens: int | None = Field(
        default=None, ge=9, validation_alias=AliasChoices("max_tokens", "max_new_tokens")
    )
    max_completion_tokens: int | None = Field(
        default=None, ge=9, description="Maximum length in steps of 40 ms; the first frame needs 9."
    )

    def sampling(self) -> SpeechOptions:
        # The model's seeds are not negative: a negative one becomes itself plus 2**63.
        seed = None if self.seed in (None, -1) else self.seed % 2**63
        return SpeechOptions(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            seed=seed,
            max_steps=self.max_completion_tokens or self.max_tokens,
        )


class StreamOptions(RequestBody):
    include_usage: bool | None = Field(default=None, description="Send a final chunk with the usage.")


class ChatRequest(Sampling, Pronounced, Timestamps, ForeignChatFields):
    """POST /v1/chat/completions. Extensions: `top_k`, `instructions`, `strip_instruction`, `verify`,
    `timestamp_granularities`, `caption_format`."""

    model: str
    messages: list[Message] = Field(min_length=1)
    modalities: list[Literal["text", "audio"]] | None = Field(
        default=None, description='Speech by default; ["text"]: the transcript of a recording.'
    )
    audio: AudioRequest | None = None
    n: int | None = 1
    stream: bool | None = Field(default=False, description="Send audio chunks as they are generated.")
    stream_options: StreamOptions | None = None
    instructions: Instructions | None = Field(
        default=None,
        description="How to speak, if the model supports it. Default: as saved with the voice.",
    )
    strip_instruction: bool = Field(
        default=True, description="Don't speak a leading instruction such as 'Say this in my voice:'."
    )
    verify: bool | None = Field(
        default=None,
        description="Check the speech with the recogniser, repeat bad attempts. Default: HIGGS_VERIFY.",
    )


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    error: ErrorDetail


class MessageAudio(Timed):
    """`words` and `captions` are extensions; null where they aren't asked for."""

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
    """The part of the recording that was used, in seconds of the recording, and its transcript if known."""

    seconds: float
    start: float
    end: float
    trimmed: bool = Field(
        description="Whether speech was left out, since the recording is longer than the model follows;"
        " silence at its ends always is."
    )
    transcript: str | None = None
    transcript_from: Literal["request", "recognised"] | None = Field(
        default=None, description="recognised: correct it if needed, and send it as ref_text next time."
    )


class FaultFound(BaseModel):
    """A problem of the speech, from start to end in seconds, before pauses and speed are applied."""

    kind: Literal["silence", "clipping", "loop", "too_short", "too_long", "missing"]
    start: float
    end: float
    message: str


class SpeechQuality(BaseModel):
    """Extension: number of attempts, problems of this one, and what the recogniser heard."""

    takes: int
    faults: list[FaultFound]
    heard: str | None = None
    word_error_rate: float | None = None
    note: str | None = Field(default=None, description="Why the speech was not verified, if it wasn't.")


class VoiceUsed(BaseModel):
    """Extension: which voice speaks, and why if the request doesn't say."""

    used: str = Field(description="default, clone, or the id of a saved voice.")
    reference: ReferenceUsed | None = None
    note: str | None = None
    instructions_followed: bool | None = Field(
        default=None, description="Whether this model follows instructions; null if there were none."
    )


class ChatResponse(BaseModel):
    """An OpenAI ChatCompletion. `voice`, `quality` and `seed` (for the same audio again) are extensions."""

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
    """A model; `license` and the following fields are extensions.

    license:        of the weights; null if unknown.
    license_notice: what the licence requires to be shown to users; null for nothing.
    fallback:       why the bundled model is served instead of the published one; null otherwise.
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
