"""From the engine's codes to samples, piece by piece or as a whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch

from errors import ModelError
from higgs.codec import CODEBOOKS, HOP, Codec
from higgs.generation import Generation

FIRST_PIECE, LARGEST_PIECE = 8, 128  # frames


@dataclass(frozen=True)
class Speech:
    """Samples float32 (N,) at 24 kHz, and what they cost: prompt positions, and frames of 40 ms."""

    samples: np.ndarray
    finish_reason: Literal["stop", "length"]
    prompt_text_tokens: int
    prompt_audio_tokens: int
    completion_audio_tokens: int
    seed: int


class SpeechStream:
    """Speech on its way: take it whole with `speech`, or iterate once; `cancel` from any thread."""

    def __init__(self, generation: Generation, codec: Codec) -> None:
        self._generation = generation
        self._decoder = codec.decoder()

    def speech(self) -> Speech:
        """Wait for the whole. Cancelled, or ModelError if the model failed or ended without a frame."""
        codes = list(self._generation)
        if not codes:
            raise ModelError("The model ended before it spoke; try another seed.", code="no_audio")
        return self.finished(self._decoder.push(torch.cat(codes, dim=1), last=True))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Samples float32 (n,) at 24 kHz, in pieces that grow. Errors as of `speech`."""
        for codes in in_growing_pieces(self._generation):
            yield self._decoder.push(codes)
        yield self._decoder.push(torch.empty(CODEBOOKS, 0, dtype=torch.int64), last=True)

    def finished(self, samples: np.ndarray) -> Speech:
        """All the samples of a finished iteration, with what they cost."""
        prompt = self._generation.prompt
        return Speech(
            samples=samples,
            finish_reason=cast(Literal["stop", "length"], self._generation.finish_reason),
            prompt_text_tokens=prompt.text_tokens,
            prompt_audio_tokens=prompt.audio_tokens,
            completion_audio_tokens=len(samples) // HOP,
            seed=self._generation.seed,
        )

    def cancel(self) -> None:
        """Stop the generation before its next step; whoever waits for it gets Cancelled."""
        self._generation.cancel()


def in_growing_pieces(stream: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
    """Join a stream of codes (8, t) to pieces of at least 8, 16, 32 … frames.

    The codec decodes some frames around a piece once more, so small pieces are dear; the first is small to
    be early.
    """
    size, held, frames = FIRST_PIECE, [], 0
    for codes in stream:
        held.append(codes)
        frames += codes.shape[1]
        if frames >= size:
            yield torch.cat(held, dim=1)
            size, held, frames = min(2 * size, LARGEST_PIECE), [], 0
    if held:
        yield torch.cat(held, dim=1)
