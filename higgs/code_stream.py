"""From text chunks to codes: each chunk is a request to the engine."""

import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import torch

from audio.frames import CODEBOOKS
from higgs.engine.engine import Engine
from higgs.engine.request import Generation
from higgs.engine.sampler import SamplingOptions
from higgs.engine.scheduler import Place
from higgs.prompts.v2 import Prompt
from higgs.segments import TextChunk

NO_CODES = torch.empty(CODEBOOKS, 0, dtype=torch.int64)
MAX_SEEDS = 4  # seeds to try if the model ends before it speaks
SEEDS_APART = 1_000_003  # between the seeds of one text chunk, so that no other chunk has them


class CodeStream:
    """The codes of text chunks, which are submitted one after the other. `cancel` from any thread.

    Args:
        engine: generates the codes.
        chunks: what to speak. The first is queued at once; the others don't queue again.
        options: for the first chunk; see SpeechStream.
        longest: maximum columns in all; None for the chunks' own limits only.
        place, background, admitted: see SpeechStream.

    Attributes:
        spoken: the engine's handles of the chunks so far.
        codes: (8, t) of each finished chunk.

    Raises:
        InvalidRequest: a chunk doesn't fit into the engine; see Engine.check.
        Overloaded, EngineFailed, ShuttingDown: see Engine.submit.
    """

    def __init__(
        self,
        engine: Engine,
        chunks: Sequence[TextChunk],
        options: SamplingOptions,
        longest: int | None,
        place: Place | None,
        background: bool,
        admitted: bool,
    ) -> None:
        for chunk in chunks:
            engine.check(chunk.prompt, chunk.max_steps)
        self._engine, self._chunks, self._options = engine, chunks, options
        self._longest, self._background = longest, background
        self._changing = threading.Lock()
        self._cancelled = False
        self.spoken: list[Generation] = []
        self.codes: list[torch.Tensor] = []
        self._coming: list[torch.Tensor] = []  # codes so far of the current chunk
        self._submit(0, admitted=admitted, place=place)

    def _submit(
        self, index: int, admitted: bool = True, place: Place | None = None, attempt: int = 0
    ) -> bool:
        """Submit a text chunk, once per attempt; return False if no columns are left for it."""
        columns = self._chunks[index].max_steps
        if self._longest is not None:
            columns = min(columns, self._longest - sum(spoken.columns for spoken in self.spoken[:index]))
        if index and columns <= CODEBOOKS:
            return False
        first = self.spoken[0].seed if index else self._options.seed
        seed = None if first is None else (first + index + attempt * SEEDS_APART) % 2**63
        options, prompt = replace(self._options, seed=seed), self._prompt(self._chunks[index])
        with self._changing:
            generation = self._engine.submit(
                prompt,
                options,
                columns,
                min_frames=self._chunks[index].min_frames,
                admitted=admitted,
                place=place,
                background=self._background,
            )
            self.spoken[index:] = [generation]
            if self._cancelled:
                generation.cancel()
        return True

    def _prompt(self, chunk: TextChunk) -> Prompt:
        """Return the prompt that continues the previous chunk, if that ended well."""
        if chunk.previous is None or chunk.continuation_prompt is None:
            return chunk.prompt.made()
        codes, before = self.codes[chunk.previous], self.spoken[chunk.previous]
        return (
            chunk.continuation_prompt(codes)
            if before.finish_reason == "stop" and codes.numel()
            else chunk.prompt.made()
        )

    def frames(self, run: range) -> Generator[torch.Tensor, None, None]:
        """Yield the codes (8, t) of these text chunks, until the columns are used up."""
        for index in run:
            if index and not self._submit(index):
                return
            self._coming = [NO_CODES]
            try:
                for frames in self._frames_of(index):
                    self._coming.append(frames)
                    yield frames
            finally:
                self.codes.append(torch.cat(self._coming, dim=1))
                self._coming = []

    def _frames_of(self, index: int) -> Iterator[torch.Tensor]:
        """Yield the codes of a submitted text chunk, with other seeds if the model ends at once."""
        attempts = 1 if index == 0 and self._options.seed is not None else MAX_SEEDS
        for attempt in range(attempts):
            if attempt and not self._submit(index, attempt=attempt):
                return
            frames = iter(self.spoken[index])
            first = next(frames, None)
            if first is not None:
                yield first
                yield from frames
                return

    def so_far(self, number: int) -> torch.Tensor:
        """Return the codes (8, t) of a chunk so far."""
        if number < len(self.codes):
            return self.codes[number]
        return torch.cat(self._coming, dim=1) if number == len(self.codes) and self._coming else NO_CODES

    def stop(self, index: int, frames: int) -> None:
        """Cancel a chunk; only its first frames count."""
        self.spoken[index].cancel()
        self.codes[index] = self.codes[index][:, :frames]

    @property
    def complete(self) -> bool:
        """Whether all chunks are finished."""
        return len(self.codes) == len(self._chunks)

    def cancel(self) -> None:
        """Stop before the next step; consumers get Cancelled."""
        with self._changing:
            self._cancelled = True
            self.spoken[-1].cancel()
