"""The server-sent events of streamed answers, for the API's document: OpenAI's, and those of a new voice."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from api.schemas.chat import SpeechQuality, Usage, VoiceUsed
from api.schemas.transcription import TokenUsage
from api.schemas.voices import OnboardingAnswer


class Event(BaseModel):
    """All that stands in the data of an event."""

    model_config = ConfigDict(extra="forbid")


class AudioDelta(Event):
    """Each of the fields comes once, but for data: base64 that decodes piece by piece and joined."""

    id: str | None = None
    transcript: str | None = None
    data: str | None = None
    expires_at: int | None = None


class ChatDelta(Event):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    audio: AudioDelta | None = None


class ChatChunkChoice(Event):
    index: int
    delta: ChatDelta
    logprobs: None
    finish_reason: Literal["stop", "length"] | None


class ChatChunk(Event):
    """An OpenAI ChatCompletionChunk; behind the last comes `data: [DONE]`.

    `voice` is an extension of the first chunk, `seed` and `quality` are some of the last that has a choice.
    """

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: Usage | None = None
    voice: VoiceUsed | None = None
    seed: int | None = None
    quality: SpeechQuality | None = None


class SpeechDelta(Event):
    type: Literal["speech.audio.delta"]
    audio: str


class SpeechTokens(Event):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechDone(Event):
    """`quality`, what is wrong with the speech, is an extension."""

    type: Literal["speech.audio.done"]
    usage: SpeechTokens
    quality: SpeechQuality


class TranscriptDelta(Event):
    type: Literal["transcript.text.delta"]
    delta: str


class TranscriptDone(Event):
    type: Literal["transcript.text.done"]
    text: str
    usage: TokenUsage


class VoiceStep(Event):
    type: Literal["voice.onboarding.step"]
    voice_id: str
    steps: list[dict[str, Any]]


class VoiceDone(OnboardingAnswer):
    type: Literal["voice.onboarding.done"]
