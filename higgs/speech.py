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
TAKES = 4  # seeds that are tried where none was asked for and the model ends before it speaks


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
    options: of the first piece; the others take the seeds that follow its own. Without a seed, a model that
             ends before it speaks is asked again with another.
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
        self._submit(0, admitted=False)

    def _submit(self, index: int, admitted: bool = True) -> bool:
        """Give the engine a piece; False if there are no columns left for it."""
        columns = self._pieces[index].max_columns
        if self._longest is not None:
            columns = min(columns, self._longest - sum(spoken.columns for spoken in self._spoken[:index]))
        if index and columns <= CODEBOOKS:
            return False
        first = self._spoken[0].seed if index else self._options.seed
        seed = None if first is None else (first + index) % 2**63
        options = replace(self._options, seed=seed)
        with self._changing:
            generation = self._engine.submit(self._pieces[index].prompt, options, columns, admitted=admitted)
            self._spoken[index:] = [generation]
            if self._cancelled:
                generation.cancel()
        return True

    def _frames(self) -> Iterator[torch.Tensor]:
        """The codes (8, t) of all pieces."""
        yield from self._first_frames()
        for index in range(1, len(self._pieces)):
            if not self._submit(index):
                return
            yield from self._spoken[index]

    def _first_frames(self) -> Iterator[torch.Tensor]:
        """The codes of the first piece, by another seed if the model ends at once and none was asked for."""
        takes = 1 if self._options.seed is not None else TAKES
        for take in range(takes):
            if take:
                self._submit(0)
            frames = iter(self._spoken[0])
            first = next(frames, None)
            if first is not None:
                yield first
                yield from frames
                return

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
            seed=self.seed,
        )

    @property
    def seed(self) -> int:
        """What gives this speech again; settled once the first samples are there."""
        return self._spoken[0].seed

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
