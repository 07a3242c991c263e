"""The codec interface, and loading of either codec.

Both codecs convert between 24 kHz mono audio and 8 codes (0 to 1023) per frame at 25 frames per second.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.codecs.reading import ReadSound
from higgs.codecs.vocoder.codec import MODEL_TYPE as VOCODER_MODEL_TYPE
from higgs.codecs.vocoder.codec import VocoderCodec
from higgs.codecs.vocoder.reading import sounds_heard
from higgs.codecs.vocoder.v2.codec import MODEL_TYPE as VOCODER_2_MODEL_TYPE
from higgs.codecs.vocoder.v2.codec import VocoderCodec2
from higgs.model.weights import find, read_json

# Codes (8, T), the text that they speak, and whether all of it is spoken → its sounds.
SoundReader = Callable[[torch.Tensor, str, bool], list[ReadSound]]
VOCODERS: dict[str, type[VocoderCodec | VocoderCodec2]] = {
    VOCODER_MODEL_TYPE: VocoderCodec,
    VOCODER_2_MODEL_TYPE: VocoderCodec2,
}


class CodecDecoder(Protocol):
    """A streaming decoder; keeps the state between chunks of one stream.

    Attributes:
        ahead: number of later frames that a frame's samples depend on.
    """

    ahead: int

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        """Decode a chunk of codes.

        Concatenated, the results don't depend on how the codes were chunked.

        Args:
            codes: (8, t), t ≥ 0.
            last: no codes follow; return all remaining samples.

        Returns:
            The float32 mono samples that are final now; 960 per frame in all.

        Raises:
            Cancelled: see `cancel`.
        """
        ...

    def cancel(self) -> None:
        """Give up a push that waits for its turn, and later ones that would; from any thread."""
        ...


class Codec(Protocol):
    """Waveform to codes and back; `encode` takes a whole clip, `decoder` streams."""

    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        """Encode float32 mono 24 kHz samples (N,) to int64 codes (8, N // 960) on the CPU."""
        ...

    def decoder(self) -> CodecDecoder:
        """Return a decoder for a new stream."""
        ...


def load_codec(name: str, device: torch.device | str = "cpu") -> Codec:
    """Load a codec; its config.json determines which of the two it is.

    Args:
        name: a folder or hub id.
        device: ignored for the bundled model's codec, which runs on the CPU.

    Raises:
        StartError: it can't be found, downloaded or read.
    """
    folder = find(name)
    vocoder = _vocoder(folder)
    return WaveformCodec.load(folder, device) if vocoder is None else vocoder.load(folder)


def reader_of(codec: Codec) -> SoundReader | None:
    """What tells when each letter of a text is spoken, where a codec's codes say so."""
    return sounds_heard if isinstance(codec, VocoderCodec) else None


def is_vocoder(folder: Path) -> bool:
    """Return whether a folder has the bundled model's codec, which always runs on the CPU."""
    return _vocoder(folder) is not None


def _vocoder(folder: Path) -> type[VocoderCodec | VocoderCodec2] | None:
    if not folder.is_dir():
        return None
    return VOCODERS.get(read_json(folder / "config.json").get("model_type", ""))


def decode(codec: Codec, codes: torch.Tensor) -> np.ndarray:
    """Decode whole codes (8, T) to float32 samples (960·T,)."""
    return codec.decoder().push(codes, last=True)
