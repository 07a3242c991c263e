"""Forms and answers of transcriptions and translations, in OpenAI's format."""

from typing import Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from api.schemas.chat import Usage
from api.schemas.transcription_fields import TranscriptionFields
from asr.transcript import Task


class RecordingForm(BaseModel):
    """What both forms have; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, str_min_length=0)

    file: UploadFile = Field(
        description="An audio or video file in any format that FFmpeg reads, up to an hour."
    )
    model: str
    prompt: str | None = Field(default=None, description="Expected words; Whisper only.")
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = Field(
        default="json", description="diarized_json: who says what."
    )
    temperature: float = Field(
        default=0, ge=0, le=1, description="0: greedy, with higher temperatures as fallbacks."
    )

    @property
    def task(self) -> Task:
        return Task(translate=True, prompt=self.prompt or None, temperature=self.temperature)

    @property
    def wants_segments(self) -> bool:
        return True

    @property
    def wants_words(self) -> bool:
        return False


class TranslationForm(RecordingForm):
    """POST /v1/audio/translations."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"


class TranscriptionForm(RecordingForm, TranscriptionFields):
    """POST /v1/audio/transcriptions."""

    language: str | None = Field(
        default=None,
        description="Spoken language: a code (en) or a name (english). Default, or auto: detected.",
    )
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        default=[],
        alias="timestamp_granularities[]",
        description="Time stamps in verbose_json. Default: segments.",
    )
    stream: bool = Field(
        default=False, description="Send events while the file is transcribed, window by window."
    )

    @property
    def diarised(self) -> bool:
        return self.response_format == "diarized_json"

    @property
    def spoken(self) -> str | None:
        """The language, if the form has one."""
        named = self.language or (self.languages[0] if len(self.languages) == 1 else None)
        return None if named is None or named.strip().lower() == "auto" else named

    @property
    def task(self) -> Task:
        words = " ".join(filter(None, (self.prompt, ", ".join(self.keywords))))
        return Task(
            language=self.spoken,
            prompt=words or None,
            temperature=self.temperature,
            words=self.wants_words or self.diarised,
            chunking=self.chunking,
        )

    @property
    def wants_segments(self) -> bool:
        return not self.timestamp_granularities or "segment" in self.timestamp_granularities

    @property
    def wants_words(self) -> bool:
        return "word" in self.timestamp_granularities


class TextMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class TextChoice(BaseModel):
    index: int = 0
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None
    message: TextMessage


class TextChatResponse(BaseModel):
    """An OpenAI ChatCompletion whose content is a transcript."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class DurationUsage(BaseModel):
    type: Literal["duration"] = "duration"
    seconds: float


class TranscriptLanguage(BaseModel):
    code: str = Field(description="ISO 639, e.g. en.")


class TranscriptText(BaseModel):
    """response_format json; languages: that are spoken, none if nothing is said."""

    text: str
    languages: list[TranscriptLanguage]
    usage: DurationUsage


class TranscriptSegment(BaseModel):
    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class DiarizedSegment(BaseModel):
    """What one speaker says: in the answer, and as an event of a stream."""

    type: Literal["transcript.text.segment"] = "transcript.text.segment"
    id: str
    start: float
    end: float
    speaker: str = Field(description="A known speaker's name, or A, B, … in the order of appearance.")
    text: str


class DiarizedTranscript(BaseModel):
    """response_format diarized_json."""

    task: Literal["transcribe"] = "transcribe"
    duration: float
    text: str
    segments: list[DiarizedSegment]
    usage: DurationUsage


class TranscriptWord(BaseModel):
    word: str
    start: float
    end: float
    probability: float = Field(description="Extension: the recogniser's confidence.")


class VerboseTranscript(BaseModel):
    """response_format verbose_json; segments or words only if requested."""

    task: Literal["transcribe", "translate"]
    language: str
    duration: float
    text: str
    segments: list[TranscriptSegment] | None = None
    words: list[TranscriptWord] | None = None
    usage: DurationUsage


class InputTokenDetails(BaseModel):
    audio_tokens: int
    text_tokens: int = 0


class TokenUsage(BaseModel):
    """Input tokens are 40 ms of audio, output tokens the recogniser's (with pocketsphinx: words)."""

    type: Literal["tokens"] = "tokens"
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: InputTokenDetails
