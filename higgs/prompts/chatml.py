"""Convert boson-multimodal's ChatMLSample to turns. Duck-typed: that package is not imported.

A sample has `messages`; a message has `role`, `content` and optionally `recipient`. Content is a string, an
object with `text`, an object with `audio_url` and `raw_audio` (base64), or a list of these.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from errors import InvalidRequest
from higgs.prompts.v2 import Turn

NO_URL = (None, "", "placeholder")


@dataclass(frozen=True)
class ChatMLResponse:
    """The audio fields of what HiggsAudioServeEngine.generate returns; audio is float32 (N,)."""

    audio: np.ndarray
    sampling_rate: int
    usage: dict[str, int]
    generated_text: str = ""


def turns_of(sample: Any, encode: Callable[[bytes], torch.Tensor]) -> list[Turn]:
    """Convert a sample to turns.

    Args:
        sample: a ChatMLSample. As in HiggsAudioServeEngine, an audio_url is the path of a local file.
        encode: encodes an audio file's bytes to codes (8, T).

    Raises:
        InvalidRequest: the sample has another shape, or an audio can't be read.
    """
    try:
        return [
            Turn(message.role, _parts(message.content, encode), getattr(message, "recipient", None))
            for message in sample.messages
        ]
    except AttributeError as error:
        raise InvalidRequest(f"This is not a ChatMLSample: {error}.", param="chat_ml_sample") from error


def _parts(content: Any, encode: Callable[[bytes], torch.Tensor]) -> tuple[str | torch.Tensor, ...]:
    contents = content if isinstance(content, list) else [content]
    return tuple(_part(one, encode) for one in contents)


def _part(content: Any, encode: Callable[[bytes], torch.Tensor]) -> str | torch.Tensor:
    if isinstance(content, str):
        return content
    return encode(_audio_bytes(content)) if hasattr(content, "audio_url") else content.text


def _audio_bytes(content: Any) -> bytes:
    try:
        if content.audio_url not in NO_URL:
            return Path(content.audio_url).read_bytes()
        return base64.b64decode(content.raw_audio or "", validate=True)
    except (OSError, binascii.Error) as error:
        raise InvalidRequest(f"Can't read an audio of the sample: {error}.") from error
