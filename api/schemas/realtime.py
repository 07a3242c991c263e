"""The session and the client's events of WS /v1/realtime, in OpenAI's shapes (GA)."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.schemas.chat import Instructions, Sampling, VoiceName
from api.schemas.consent import Attested
from api.schemas.fields import UNSUPPORTED, Refused, RequestBody
from api.schemas.foreign import VOICE
from api.schemas.pronunciations import Pronounced
from api.schemas.timestamps import Timestamps
from audio.frames import SAMPLE_RATE

NO_ANSWERS = "This server speaks your text as it is and writes no answers;"
MAX_REALTIME_SPEED = 1.5
MAX_PADDING_MS, MAX_SILENCE_MS = 5_000, 10_000
FORMATS = {"audio/pcm": "pcm", "audio/pcmu": "pcmu", "audio/pcma": "pcma"}


def _not_text_alone(modalities: list[str]) -> list[str]:
    if "audio" not in modalities:
        reason = f'{NO_ANSWERS} output_modalities is ["audio"].'
        raise PydanticCustomError(UNSUPPORTED, reason)  # type: ignore[arg-type]
    return ["audio"]


def _not_semantic(kind: str) -> str:
    if kind == "semantic_vad":
        raise PydanticCustomError(UNSUPPORTED, "The end of a turn is found by server_vad here.")
    return kind


def _not_answering(create: bool) -> bool:
    if create:
        reason = f"{NO_ANSWERS} leave create_response out, and send response.create."
        raise PydanticCustomError(UNSUPPORTED, reason)  # type: ignore[arg-type]
    return create


Modalities = Annotated[list[Literal["text", "audio"]], AfterValidator(_not_text_alone)]
Metadata = Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=16)]


class SoundFormat(RequestBody):
    """Raw sound: 16-bit samples at 24 kHz, or G.711 at 8 kHz."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: Literal[24_000] | None = Field(default=None, description="Of audio/pcm; G.711 has 8,000.")

    @property
    def name(self) -> str:
        return FORMATS[self.type]

    @property
    def wire(self) -> dict[str, Any]:
        return {"type": self.type} | ({"rate": SAMPLE_RATE} if self.type == "audio/pcm" else {})


class TurnDetection(RequestBody):
    """server_vad: the server commits what is said when it hears a pause behind it."""

    type: Annotated[Literal["server_vad", "semantic_vad"], AfterValidator(_not_semantic)]
    threshold: float = Field(default=0.5, gt=0, lt=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=MAX_PADDING_MS)
    silence_duration_ms: int = Field(default=500, ge=100, le=MAX_SILENCE_MS)
    create_response: Annotated[bool, AfterValidator(_not_answering)] = False
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[Any, Refused(f"{NO_ANSWERS} nobody speaks after a silence.")] = None


class Transcription(RequestBody):
    """What is said in the input is written down, too. model: null for any."""

    model: str | None = None
    language: str | None = Field(default=None, max_length=64)
    prompt: str | None = Field(default=None, max_length=4_096)
    keywords: list[Annotated[str, Field(max_length=200)]] | None = Field(default=None, max_length=100)


class InputConfig(RequestBody):
    format: SoundFormat = SoundFormat()
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None
    noise_reduction: Annotated[Any, Refused("Noise is not reduced here; send the sound as it is.")] = None


class OutputConfig(RequestBody):
    """How responses sound."""

    format: SoundFormat = SoundFormat()
    voice: VoiceName = "default"
    speed: float | None = Field(default=None, ge=0.25, le=MAX_REALTIME_SPEED)


class AudioConfig(RequestBody):
    input: InputConfig = InputConfig()
    output: OutputConfig = OutputConfig()


class NoAnswers(RequestBody):
    """What asks for the answers of a language model, in a session and in a response."""

    tools: Annotated[Any, Refused(f"{NO_ANSWERS} it calls no tools.")] = None
    tool_choice: Annotated[Any, Refused(f"{NO_ANSWERS} it calls no tools.", ("none", "auto"))] = None
    prompt: Annotated[Any, Refused("Prompts are not kept here; send the text itself.")] = None
    speaker_id: Annotated[Any, VOICE] = None
    ref_audio: Annotated[
        Any, Refused("Commit the recording by input_audio_buffer, and ask for the voice clone.")
    ] = None


def _moved(to: str, *harmless: Any) -> Refused:
    return Refused(f"This is the Realtime API's beta; since then it is {to}.", harmless)


class BetaShape(RequestBody):
    """Fields of the API's beta, which would have no effect."""

    voice: Annotated[Any, _moved("audio.output.voice")] = None
    modalities: Annotated[Any, _moved("output_modalities", ["text", "audio"], ["audio", "text"])] = None
    input_audio_format: Annotated[Any, _moved("audio.input.format", "pcm16")] = None
    output_audio_format: Annotated[Any, _moved("audio.output.format", "pcm16")] = None
    input_audio_transcription: Annotated[Any, _moved("audio.input.transcription")] = None
    turn_detection: Annotated[Any, _moved("audio.input.turn_detection")] = None
    max_response_output_tokens: Annotated[Any, _moved("max_output_tokens", "inf")] = None


class SessionConfig(Sampling, Attested, Pronounced, Timestamps, NoAnswers, BetaShape):
    """The session. Extensions: `seed`, `temperature`, `top_p`, `top_k`, `pronunciations`, `consent`,
    `timestamp_granularities`, `caption_format`."""

    type: Literal["realtime", "transcription"] = "realtime"
    model: str | None = None
    instructions: Instructions | None = None
    output_modalities: Modalities = Field(default=["audio"])
    audio: AudioConfig = AudioConfig()
    max_output_tokens: Annotated[int, Field(ge=9)] | Literal["inf"] = "inf"
    include: Annotated[Any, Refused("The recogniser gives no log probabilities.")] = None
    tracing: Annotated[Any, Refused("Nothing is traced here.")] = None


class Part(RequestBody):
    """A part of a message."""

    type: Literal["input_text", "output_text", "input_audio", "output_audio"]
    text: str | None = None
    audio: str | None = Field(default=None, description="Base64, in the session's input format.")
    transcript: str | None = None


class Item(RequestBody):
    """A message, or in a response's input a reference to one."""

    type: Literal["message", "item_reference"]
    id: str | None = Field(default=None, min_length=1, max_length=64)
    role: Literal["user", "assistant", "system"] = "user"
    content: list[Part] = Field(default=[], max_length=64)


class ResponseOutput(RequestBody):
    format: SoundFormat | None = None
    voice: VoiceName | None = None
    speed: float | None = Field(default=None, ge=0.25, le=MAX_REALTIME_SPEED)


class ResponseAudio(RequestBody):
    output: ResponseOutput = ResponseOutput()


class ResponseConfig(Sampling, Pronounced, Timestamps, NoAnswers, BetaShape):
    """response.create; what it leaves open is as in the session."""

    conversation: str = "auto"
    input: list[Item] | None = Field(default=None, max_length=64)
    instructions: Instructions | None = None
    output_modalities: Modalities = Field(default=["audio"])
    audio: ResponseAudio = ResponseAudio()
    max_output_tokens: Annotated[int, Field(ge=9)] | Literal["inf"] | None = None
    metadata: Metadata | None = None


class ClientEvent(RequestBody):
    event_id: str | None = Field(default=None, max_length=512)


class SessionUpdate(ClientEvent):
    session: dict[str, Any]


class ResponseCreate(ClientEvent):
    response: ResponseConfig = ResponseConfig()


class ResponseCancel(ClientEvent):
    response_id: str | None = None


class ItemCreate(ClientEvent):
    item: Item
    previous_item_id: str | None = None


class ItemNamed(ClientEvent):
    item_id: str


class ItemTruncate(ItemNamed):
    content_index: Literal[0] = 0
    audio_end_ms: int = Field(ge=0)


class AudioAppend(ClientEvent):
    audio: str


class ExpiresAfter(RequestBody):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=600, ge=10, le=7_200)


class ClientSecretRequest(RequestBody):
    """POST /v1/realtime/client_secrets."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] | None = Field(default=None, description="The session, as of session.update.")
