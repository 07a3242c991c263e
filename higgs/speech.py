"""From the engine's codes to samples, piece by piece or as a whole."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from errors import ModelError
from higgs.codec import CODEBOOKS, HOP, Codec
from higgs.engine import Engine
from higgs.generation import Generation
from higgs.prompt import Prompt
from higgs.sampling import SamplingOptions

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


@dataclass(frozen=True)
class Piece:
    """What is spoken in one go: a prompt, and the columns that its speech may take."""

    prompt: Prompt
    max_columns: int


class SpeechStream:
    """Speech on its way: take it whole with `speech`, or iterate once; `cancel` from any thread.

    pieces:  spoken one after the other, in one stream of codes; the first is queued at once, the others
             follow without waiting in the queue again.
    options: of the first piece; the others take the seeds that follow its own.
    longest: columns in all; None for no other bound than the pieces' own.
    """

    def __init__(
        self,
        engine: Engine,
        codec: Codec,
        pieces: Sequence[Piece],
        options: SamplingOptions,
        longest: int | None = None,
    ) -> None:
        for piece in pieces:
            engine.check(piece.prompt, piece.max_columns)
        self._engine, self._decoder = engine, codec.decoder()
        self._pieces, self._options, self._longest = pieces, options, longest
        self._changing = threading.Lock()
        self._cancelled = False
        self._spoken: list[Generation] = []
        self._begin(pieces[0])

    def _begin(self, piece: Piece) -> bool:
        """Give the engine another piece; False if there are no columns left for it."""
        columns = piece.max_columns
        if self._longest is not None:
            columns = min(columns, self._longest - sum(spoken.columns for spoken in self._spoken))
        if self._spoken and columns <= CODEBOOKS:
            return False
        first = self._spoken[0].seed if self._spoken else self._options.seed
        seed = None if first is None else (first + len(self._spoken)) % 2**63
        with self._changing:
            options = replace(self._options, seed=seed)
            self._spoken.append(
                self._engine.submit(piece.prompt, options, columns, admitted=bool(self._spoken))
            )
            if self._cancelled:
                self._spoken[-1].cancel()
        return True

    def _frames(self) -> Iterator[torch.Tensor]:
        """The codes (8, t) of all pieces."""
        yield from self._spoken[0]
        for piece in self._pieces[1:]:
            if not self._begin(piece):
                return
            yield from self._spoken[-1]

    def speech(self) -> Speech:
        """Wait for the whole. Cancelled, or ModelError if the model failed or ended without a frame."""
        codes = list(self._frames())
        if not codes:
            raise ModelError("The model ended before it spoke; try another seed.", code="no_audio")
        return self.finished(self._decoder.push(torch.cat(codes, dim=1), last=True))

    def __iter__(self) -> Iterator[np.ndarray]:
        """Samples float32 (n,) at 24 kHz, in pieces that grow. Errors as of `speech`."""
        for codes in in_growing_pieces(self._frames()):
            yield self._decoder.push(codes)
        yield self._decoder.push(torch.empty(CODEBOOKS, 0, dtype=torch.int64), last=True)

    def finished(self, samples: np.ndarray) -> Speech:
        """All the samples of a finished iteration, with what they cost."""
        prompts = [piece.prompt for piece in self._pieces[: len(self._spoken)]]
        whole = len(self._spoken) == len(self._pieces) and all(
            s.finish_reason == "stop" for s in self._spoken
        )
        return Speech(
            samples=samples,
            finish_reason="stop" if whole else "length",
            prompt_text_tokens=sum(prompt.text_tokens for prompt in prompts),
            prompt_audio_tokens=sum(prompt.audio_tokens for prompt in prompts),
            completion_audio_tokens=len(samples) // HOP,
            seed=self._spoken[0].seed,
        )

    def cancel(self) -> None:
        """Stop before the next step; whoever waits for the speech gets Cancelled."""
        with self._changing:
            self._cancelled = True
            self._spoken[-1].cancel()


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
