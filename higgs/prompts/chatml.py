"""boson-multimodal's ChatMLSample → turns, read by shape: that package is not imported.

A sample has `messages`; a message has `role`, `content` and perhaps `recipient`; content is a text, an object
with `text`, an object with `audio_url` and `raw_audio` (base64), or a list of these.
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
    """What HiggsAudioServeEngine.generate returns, as far as it is about audio: samples float32 (N,)."""

    audio: np.ndarray
    sampling_rate: int
    usage: dict[str, int]
    generated_text: str = ""


def turns_of(sample: Any, encode: Callable[[bytes], torch.Tensor]) -> list[Turn]:
    """The turns of a sample; `encode` makes codes (8, T) of the bytes of an audio file.

    An audio_url is the path of a local file, as for HiggsAudioServeEngine. InvalidRequest for other shapes.
    """
    try:
        return [
            Turn(message.role, _parts(message.content, encode), getattr(message, "recipient", None))
            for message in sample.messages
        ]
    except AttributeError as error:
        raise InvalidRequest(f"This is no ChatMLSample: {error}.", param="chat_ml_sample") from error


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
        raise InvalidRequest(f"An audio of the sample can't be read: {error}.") from error
