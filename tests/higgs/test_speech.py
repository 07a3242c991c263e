"""Speech out of the engine's codes: chunks, and a model that ends before it speaks."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
import torch

from audio.frames import HOP, SAMPLE_RATE
from errors import ModelError
from higgs.code_stream import MAX_SEEDS
from higgs.codecs.base import load_codec
from higgs.engine.engine import Engine
from higgs.engine.kv_cache import SlotCache
from higgs.engine.sampler import SamplingOptions
from higgs.model.transformer import HiggsModel
from higgs.segments import SpeechSegment, TextChunk
from higgs.speech import SpeechStream
from tests.higgs.test_engine import clone_prompt
from tests.tiny import CONFIG, tiny_model
from tests.tiny_codec import NATIVE

PROMPT = clone_prompt()


class LateSpeaker:
    """A decode function whose first streams end at once, and the others never."""

    def __init__(self, silent: int) -> None:
        self.silent, self.begun = silent, 0

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        self.begun += int(positions[0]) == len(PROMPT)
        code = CONFIG.eos_code if self.begun <= self.silent else 5
        codes = torch.full((len(columns), CONFIG.num_codebooks), code)
        return torch.nn.functional.one_hot(codes, CONFIG.codebook_size).float()


@contextmanager
def stream(decode_fn: Callable[..., torch.Tensor], seed: int | None) -> Iterator[SpeechStream]:
    def given(model: HiggsModel, cache: SlotCache) -> Callable[..., torch.Tensor]:
        return decode_fn

    options = SamplingOptions(temperature=0, ras_window=0, seed=seed)
    with closing(Engine(tiny_model(), slots=1, make_decode_fn=given)) as engine:
        yield SpeechStream(
            engine, load_codec(str(NATIVE), "cpu"), [SpeechSegment([TextChunk(PROMPT, 40)])], options
        )


def test_a_model_that_ends_at_once_is_asked_again_with_another_seed() -> None:
    decode_fn = LateSpeaker(silent=MAX_SEEDS - 1)
    with stream(decode_fn, seed=None) as speaking:
        speech = speaking.speech()
    assert decode_fn.begun == MAX_SEEDS
    assert speech.completion_audio_tokens == 32


@pytest.mark.parametrize(("seed", "attempts"), [(None, MAX_SEEDS), (7, 1)])
def test_it_is_not_asked_for_ever_and_never_against_a_given_seed(seed: int | None, attempts: int) -> None:
    decode_fn = LateSpeaker(silent=1000)
    with stream(decode_fn, seed) as speaking, pytest.raises(ModelError, match="before it spoke"):
        speaking.speech()
    assert decode_fn.begun == attempts


def test_the_first_chunk_of_a_stream_brings_sound() -> None:
    """The codec holds back ten frames, so a chunk of eight would bring none."""
    with stream(LateSpeaker(silent=0), seed=1) as speaking:
        assert len(next(iter(speaking))) > 0


LOUD_STEPS = 30


class FadingSpeaker:
    """A decode function that speaks for 30 columns and then goes on in ever new codes."""

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        step = int(positions[0]) - len(PROMPT)
        codes = torch.full((len(columns), CONFIG.num_codebooks), 5 if step < LOUD_STEPS else 100 + step % 800)
        return torch.nn.functional.one_hot(codes, CONFIG.codebook_size).float()


class PlainCodec:
    """A codec whose first code says whether a frame sounds: 5 does, all others are silent."""

    ahead = 0

    def decoder(self) -> "PlainCodec":
        return self

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        return np.repeat((codes[0] == 5).numpy(), HOP).astype(np.float32) / 2

    def cancel(self) -> None:
        pass

    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        return torch.zeros(8, len(waveform) // HOP, dtype=torch.int64)


@pytest.mark.parametrize(("min_frames", "reason"), [(20, "stop"), (60, "length")])
def test_dead_sound_ends_a_stream_and_is_not_heard(min_frames: int, reason: str) -> None:
    """Kind: a model goes on in silence behind its text, up to the last column."""
    options = SamplingOptions(temperature=0, ras_window=0, seed=1)

    def spoken(engine: Engine) -> SpeechStream:
        segments = [SpeechSegment([TextChunk(PROMPT, 900, min_frames)])]
        return SpeechStream(engine, PlainCodec(), segments, options)

    with closing(
        Engine(tiny_model(), slots=1, make_decode_fn=lambda model, cache: FadingSpeaker())
    ) as engine:
        whole = spoken(engine).speech()
        stream = spoken(engine)
        chunks = list(stream)
    sounding = int((whole.samples != 0).sum()) // HOP
    assert LOUD_STEPS - 8 <= sounding <= LOUD_STEPS + 1
    np.testing.assert_array_equal(np.concatenate(chunks), whole.samples)
    assert 0.3 <= len(whole.samples) / SAMPLE_RATE - sounding / 25 <= 0.4
    assert whole.finish_reason == stream.finished().finish_reason == reason
    assert whole.completion_audio_tokens == stream.finished().completion_audio_tokens == sounding + 76
