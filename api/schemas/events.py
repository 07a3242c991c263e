"""Server-sent events of streamed answers, for the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from api.schemas.chat import SpeechQuality, Usage, VoiceUsed
from api.schemas.timestamps import SpokenWord
from api.schemas.transcription import DiarizedSegment, TokenUsage, TranscriptLanguage
from api.schemas.voices import OnboardingAnswer


class Event(BaseModel):
    """The JSON data of an event."""

    model_config = ConfigDict(extra="forbid")


class IndexedWord(SpokenWord):
    """index: the word's number, by which OpenAI's clients merge lists that come in parts."""

    index: int


class AudioDelta(Event):
    """Each field is sent once, except data: base64 that can be decoded chunk by chunk or joined."""

    id: str | None = None
    transcript: str | None = None
    data: str | None = None
    expires_at: int | None = None
    words: list[IndexedWord] | None = None
    captions: str | None = None


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
    """An OpenAI ChatCompletionChunk. `data: [DONE]` follows the last one.

    Extensions: `voice` in the first chunk; `seed` and `quality` in the last one with a choice.
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


class SpeechWords(Event):
    """Extension: words whose times are certain, each of them once, in order."""

    type: Literal["speech.audio.words"]
    words: list[SpokenWord]


class SpeechTokens(Event):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class SpeechDone(Event):
    """Extensions: `finish_reason`; `quality`, the problems of the speech; `captions`, if asked for."""

    type: Literal["speech.audio.done"]
    usage: SpeechTokens
    finish_reason: Literal["stop", "length"]
    quality: SpeechQuality
    captions: str | None = None


class TranscriptDelta(Event):
    """segment_id: with diarized_json, the segment that the text belongs to, which follows."""

    type: Literal["transcript.text.delta"]
    delta: str
    segment_id: str | None = None


class TranscriptSpeakerSegment(DiarizedSegment):
    """Who said what, with diarized_json."""


class TranscriptDone(Event):
    type: Literal["transcript.text.done"]
    text: str
    languages: list[TranscriptLanguage]
    usage: TokenUsage


class VoiceStep(Event):
    type: Literal["voice.onboarding.step"]
    voice_id: str
    steps: list[dict[str, Any]]


class VoiceDone(OnboardingAnswer):
    type: Literal["voice.onboarding.done"]
