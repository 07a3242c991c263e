"""The messages of WS /v1/audio/speech/stream, as vLLM-Omni and SGLang-Omni have them."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.fields import RequestBody
from api.schemas.speech import SpeechRequest
from text.clauses import Unit


class StreamConfig(SpeechRequest):
    """session.config: the fields of /v1/audio/speech, but for its text. It holds until another one comes.

    `split_granularity` is "none" on vLLM-Omni and "sentence" on SGLang-Omni where it isn't given.
    """

    model: str = "higgs-audio"
    input: str = Field(default="", exclude=True)
    response_format: Literal["wav", "pcm", "flac", "mp3", "aac", "opus"] = "wav"
    stream_audio: bool = Field(
        default=False, description="Send the sound while it is spoken; else each part whole, in one message."
    )
    split_granularity: Unit = Field(
        default="clause",
        description="clause: speak from the first clause on, then in sentences; none: wait for input.done.",
    )


class InputText(RequestBody):
    """input.text: some more of the text."""

    text: str


Event = dict[str, Any]
