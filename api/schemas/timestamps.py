"""The times of spoken words: how a request asks for them, and how an answer tells them."""

from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.fields import RequestBody

CaptionFormat = Literal["srt", "vtt"]


class Timestamps(RequestBody):
    """When what is spoken, beside the speech. Both are extensions."""

    timestamp_granularities: list[Literal["word"]] | None = Field(
        default=None, description='["word"]: the start and end of each word of the text, in seconds.'
    )
    caption_format: CaptionFormat | None = Field(
        default=None, description="Subtitles of the speech, beside it: SubRip or WebVTT."
    )

    @property
    def wants_words(self) -> bool:
        return bool(self.timestamp_granularities)

    @property
    def wants_times(self) -> bool:
        return self.wants_words or self.caption_format is not None


class SpokenWord(BaseModel):
    """A word of the text, as it was written, and when it is spoken, in seconds."""

    word: str
    start: float
    end: float


class Timed(BaseModel):
    """What was asked for of the times."""

    words: list[SpokenWord] | None = None
    captions: str | None = None
