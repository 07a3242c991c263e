"""From the engine's codes to samples, piece by piece or as a whole."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

import numpy as np
import torch

from errors import ModelError
from higgs.codecs.base import CODEBOOKS, HOP, SAMPLE_RATE, Codec
from higgs.engine.engine import Engine
from higgs.engine.request import Generation
from higgs.engine.sampler import SamplingOptions
from higgs.piece_pauses import PiecePauses
from higgs.playback import playback_chunks
from higgs.prompts.v2 import Prompt

FIRST_CHUNK = 8  # frames
FIRST_SOUND = 2  # frames that the first piece makes final at least
NO_CODES = torch.empty(CODEBOOKS, 0, dtype=torch.int64)
MAX_SEEDS = 4  # seeds that are tried where the model ends before it speaks
SEEDS_APART = 1_000_003  # those of one piece, so that no other piece has them


@dataclass(frozen=True)
class SpokenText:
    """A text that was spoken in one go, and where it stands in Speech.as_spoken, in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Speech:
    """Samples float32 (N,) at 24 kHz, and what they cost: prompt positions, and frames of 40 ms.

    as_spoken: the samples as the model spoke them, without pauses and before any filter.
    texts: what is said in them, as the model was asked to speak it; () where that isn't known.
    """

    samples: np.ndarray
    as_spoken: np.ndarray
    finish_reason: Literal["stop", "length"]
    prompt_text_tokens: int
    prompt_audio_tokens: int
    completion_audio_tokens: int
    seed: int
    texts: tuple[SpokenText, ...] = ()


@dataclass(frozen=True)
class TextChunk:
    """What is spoken in one go: a prompt, and the columns that its speech may take.

    text:       the words in it.
    pause:      samples of silence behind it, where another follows in the same stretch.
    follows:    the number of the piece that its voice spoke before, if it is to go on from there.
    continuation_prompt:   the prompt instead of the other, made with the codes (8, T) of that piece.
    """

    prompt: Prompt
    max_steps: int
    text: str = ""
    pause: int = 0
    previous: int | None = None
    continuation_prompt: Callable[[torch.Tensor], Prompt] | None = None


@dataclass(frozen=True)
class SpeechSegment:
    """Pieces that are one stretch of sound, and `silence` behind it, in samples.

    filter: makes of the samples, piece by piece, those that are heard.
    """

    pieces: Sequence[TextChunk]
    silence: int = 0
    filter: Callable[[Iterable[np.ndarray]], Iterable[np.ndarray]] = iter


class SpeechStream:
    """Speech on its way: take it whole with `speech`, or iterate once; `cancel` from any thread.

    stretches: spoken one after the other; their first piece is queued at once, the others follow without
               waiting in the queue again.
    options:   of the first piece; the others take the seeds that follow its own. A model that ends before it
               speaks is asked again with another, but for the first piece where a seed was asked for.
    longest:   columns in all; None for no other bound than the pieces' own.
    """

    def __init__(
        self,
        engine: Engine,
        codec: Codec,
        segments: Sequence[SpeechSegment],
        options: SamplingOptions,
        longest: int | None = None,
    ) -> None:
        self._pieces = [piece for segment in segments for piece in segment.pieces]
        for piece in self._pieces:
            engine.check(piece.prompt, piece.max_steps)
        self._engine, self._codec, self._segments = engine, codec, segments
        self._options, self._longest = options, longest
        self._changing = threading.Lock()
        self._cancelled = False
        self._spoken: list[Generation] = []
        self._codes: list[torch.Tensor] = []
        self._as_spoken: list[np.ndarray] = []
        self._heard: list[np.ndarray] = []
        self._submit(0, admitted=False)

    def _submit(self, index: int, admitted: bool = True, take: int = 0) -> bool:
        """Give the engine a piece, for the take-th time; False if there are no columns left for it."""
        columns = self._pieces[index].max_steps
        if self._longest is not None:
            columns = min(columns, self._longest - sum(spoken.columns for spoken in self._spoken[:index]))
        if index and columns <= CODEBOOKS:
            return False
        first = self._spoken[0].seed if index else self._options.seed
        seed = None if first is None else (first + index + take * SEEDS_APART) % 2**63
        options, prompt = replace(self._options, seed=seed), self._prompt(self._pieces[index])
        with self._changing:
            generation = self._engine.submit(prompt, options, columns, admitted=admitted)
            self._spoken[index:] = [generation]
            if self._cancelled:
                generation.cancel()
        return True

    def _prompt(self, piece: TextChunk) -> Prompt:
        """The prompt that goes on from the piece before, if that came to a good end."""
        if piece.previous is None or piece.continuation_prompt is None:
            return piece.prompt
        codes, before = self._codes[piece.previous], self._spoken[piece.previous]
        return (
            piece.continuation_prompt(codes)
            if before.finish_reason == "stop" and codes.numel()
            else piece.prompt
        )

    def _frames(self, pieces: range, pauses: PiecePauses) -> Iterator[torch.Tensor]:
        """The codes (8, t) of the pieces of these numbers; they end where the columns do."""
        spoken = 0
        for index in pieces:
            if index and not self._submit(index):
                return
            codes = [NO_CODES]
            for frames in self._frames_of(index):
                codes.append(frames)
                yield frames
            self._codes.append(torch.cat(codes, dim=1))
            spoken += self._codes[-1].shape[1]
            if index + 1 in pieces:
                pauses.note_end(spoken * HOP, self._pieces[index].pause)

    def _frames_of(self, index: int) -> Iterator[torch.Tensor]:
        """The codes of a piece that was given to the engine, by another seed if the model ends at once."""
        takes = 1 if index == 0 and self._options.seed is not None else MAX_SEEDS
        for take in range(takes):
            if take and not self._submit(index, take=take):
                return
            frames = iter(self._spoken[index])
            first = next(frames, None)
            if first is not None:
                yield first
                yield from frames
                return

    def _samples(self, pieces: range, at_once: bool) -> Iterator[np.ndarray]:
        """What the model speaks, decoded as one stretch of sound."""
        pauses = PiecePauses()
        decoder, frames = self._codec.decoder(), self._frames(pieces, pauses)
        if at_once:
            pushed = iter([(torch.cat([NO_CODES, *frames], dim=1), True)])
        else:
            first = max(FIRST_CHUNK, decoder.ahead + FIRST_SOUND)
            growing = playback_chunks(frames, first, decoder.ahead)
            pushed = chain(((codes, False) for codes in growing), [(NO_CODES, True)])
        for codes, last in pushed:
            self._as_spoken.append(decoder.push(codes, last))
            yield from pauses.around(self._as_spoken[-1])

    def _sound(self, at_once: bool) -> Iterator[np.ndarray]:
        """What is heard: filtered, and with the pauses."""
        begun = 0
        for segment in self._segments:
            pieces = range(begun, begun + len(segment.pieces))
            begun = pieces.stop
            yield from segment.filter(self._samples(pieces, at_once))
            if len(self._codes) < begun:
                return
            yield np.zeros(segment.silence, np.float32)

    def speech(self) -> Speech:
        """Wait for the whole. Cancelled, or ModelError if the model failed or ended without a frame."""
        self._heard += self._sound(at_once=True)
        if not any(map(len, self._as_spoken)):
            raise ModelError("The model ended before it spoke; try another seed.", code="no_audio")
        return self.finished()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Samples float32 (n,) at 24 kHz, in pieces that grow. Errors as of `speech`."""
        for samples in self._sound(at_once=False):
            self._heard.append(samples)
            yield samples

    def finished(self) -> Speech:
        """All that was heard once the iteration is over, with what it cost."""
        prompts = [generation.prompt for generation in self._spoken]
        whole = len(self._spoken) == len(self._pieces) and all(
            s.finish_reason == "stop" for s in self._spoken
        )
        as_spoken = np.concatenate(self._as_spoken)
        return Speech(
            samples=np.concatenate(self._heard),
            as_spoken=as_spoken,
            finish_reason="stop" if whole else "length",
            prompt_text_tokens=sum(prompt.text_tokens for prompt in prompts),
            prompt_audio_tokens=sum(prompt.audio_tokens for prompt in prompts),
            completion_audio_tokens=len(as_spoken) // HOP,
            seed=self.seed,
            texts=tuple(self._texts()),
        )

    def _texts(self) -> Iterator[SpokenText]:
        """Where each piece's text was spoken; one that there were no columns for begins and ends at once."""
        end = 0
        for number, piece in enumerate(self._pieces):
            start, end = end, end + (self._codes[number].shape[1] if number < len(self._codes) else 0)
            yield SpokenText(piece.text, start * HOP / SAMPLE_RATE, end * HOP / SAMPLE_RATE)

    @property
    def seed(self) -> int:
        """What gives this speech again; settled once the first samples are there."""
        return self._spoken[0].seed

    def cancel(self) -> None:
        """Stop before the next step; whoever waits for the speech gets Cancelled."""
        with self._changing:
            self._cancelled = True
            self._spoken[-1].cancel()
