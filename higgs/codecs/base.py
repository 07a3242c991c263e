"""The small interface behind which the two codecs stand, and the choice between them.

Both turn 24 kHz mono audio into 8 codes of 0..1023 per frame at 25 frames a second, and back.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.codecs.vocoder.codec import MODEL_TYPE as VOCODER_MODEL_TYPE
from higgs.codecs.vocoder.codec import VocoderCodec
from higgs.codecs.vocoder.v2.codec import MODEL_TYPE as VOCODER_2_MODEL_TYPE
from higgs.codecs.vocoder.v2.codec import VocoderCodec2
from higgs.model.weights import find, read_json

VOCODERS: dict[str, type[VocoderCodec | VocoderCodec2]] = {
    VOCODER_MODEL_TYPE: VocoderCodec,
    VOCODER_2_MODEL_TYPE: VocoderCodec2,
}


class CodecDecoder(Protocol):
    """The decoding of one stream of codes; carries whatever the next piece needs of the last.

    ahead: frames that must follow a frame before its samples are final.
    """

    ahead: int

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        """Take codes (8, t), t ≥ 0, and return the samples (float32, mono) that are final now.

        The joined returns of any split of the codes equal those of one push of the whole.
        `last` says that no codes follow: the rest comes out, 960 samples a frame in all.
        """
        ...


class Codec(Protocol):
    """Waveform to codes and back; `encode` is whole-clip, `decoder` streams."""

    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        """Encode float32 mono 24 kHz samples (N,) into int64 codes (8, N // 960) on the CPU."""
        ...

    def decoder(self) -> CodecDecoder:
        """A decoder for a new stream."""
        ...


def load_codec(name: str, device: torch.device | str = "cpu") -> Codec:
    """Load a codec from a folder or a hub id; its config.json says which of the two it is.

    StartError if it can't be had. The bundled model's codec runs on the CPU whatever the device.
    """
    folder = find(name)
    vocoder = _vocoder(folder)
    return WaveformCodec.load(folder, device) if vocoder is None else vocoder.load(folder)


def is_vocoder(folder: Path) -> bool:
    """Whether a folder holds the bundled model's codec, which is always computed on the CPU."""
    return _vocoder(folder) is not None


def _vocoder(folder: Path) -> type[VocoderCodec | VocoderCodec2] | None:
    if not folder.is_dir():
        return None
    return VOCODERS.get(read_json(folder / "config.json").get("model_type", ""))


def decode(codec: Codec, codes: torch.Tensor) -> np.ndarray:
    """Decode a whole stream of codes (8, T) into float32 samples (960·T,)."""
    return codec.decoder().push(codes, last=True)
