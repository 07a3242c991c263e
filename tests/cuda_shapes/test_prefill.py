"""Several prompts a pass by the kernels, on a GPU or in Triton's interpreter: each gets what it gets alone.

Covers: passes of text, audio and both, places in the cache, kept prefixes, prompts that can't be embedded,
and an engine whose requests come all at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from errors import ModelError
from higgs.engine.engine import Engine
from higgs.engine.fused_decode import FusedDecode
from higgs.engine.kv_cache import KVCache, SlotCache
from higgs.engine.prefill import PREFILL_BLOCK, PREFILL_CHUNK, Prefill, Reading, blocks
from higgs.engine.sampler import SamplingOptions
from higgs.model.config import HiggsConfig
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt
from tests.tiny import CONFIG, random_weights

pytest.importorskip("triton")
from higgs.cuda.decode import KernelDecode
from higgs.cuda.prefill import FIRST, POSITION, KernelPrefill, prefill_on_gpu
from tests.cuda_shapes.test_kernels import DEVICE, pytestmark

__all__ = ["pytestmark"]
CAPACITY = 400
TINY = replace(
    CONFIG, layers=2, heads=2, kv_heads=1
)  # the interpreter takes a millisecond a head and position


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def model_of(config: HiggsConfig) -> HiggsModel:
    with torch.inference_mode(False):
        model = HiggsModel(config)
        model.load_state_dict(random_weights(config))
        return model.to(DEVICE).eval().requires_grad_(False)


def prefill_of(
    config: HiggsConfig = TINY, kept_positions: int = 0, capacity: int = CAPACITY
) -> KernelPrefill:
    model = model_of(config)
    decode_fn = KernelDecode(FusedDecode(model, SlotCache(config, 1, capacity, DEVICE)))
    return KernelPrefill(model, KVCache(config, capacity, device=DEVICE), kept_positions, decode_fn)


def prompt_of(length: int, prefix: int = 0, seed: int = 0) -> Prompt:
    """Text and audio in turn, seven positions each."""
    numbers = torch.Generator().manual_seed(seed)
    ids = torch.randint(10, 250, (length,), generator=numbers)
    columns = torch.randint(0, 1024, (length, 8), generator=numbers)
    return Prompt(ids, columns, torch.arange(length) // 7 % 2 == 1, prefix)


def read(prefill: Prefill, prompts: list[Prompt]) -> list[torch.Tensor]:
    """The keys and values of prompts that are read together, as far as there is room."""
    readings = [prefill.begin(prompt) for prompt in prompts]
    while unread := [reading for reading in readings if not reading.complete]:
        prefill.run_pass(unread)
    filled = [prefill.filled(reading).clone() for reading in readings]
    for reading in readings:
        prefill.end(reading)
    return filled


@pytest.mark.parametrize("dual_ffn", [True, False])
def test_prompts_are_read_as_the_eager_path_reads_them(dual_ffn: bool) -> None:
    prefill = prefill_of(replace(TINY, dual_ffn=dual_ffn, qk_norm=not dual_ffn))
    assert prefill.relative_error() < 1e-4
    assert prefill.has_room(prompt_of(CAPACITY)), "the check leaves nothing behind"


@pytest.mark.parametrize(("error", "says"), [(float("nan"), "stay unused"), (None, "can't be used")])
def test_kernels_that_are_wrong_or_fail_leave_prefill_to_torch(
    error: float | None, says: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Kind: what a compiler or a driver raises at start must not keep the server from serving."""
    right = prefill_of()
    check = KernelPrefill.relative_error

    def measured(prefill: KernelPrefill) -> float:
        check(prefill)
        if error is None:
            raise RuntimeError("no compiler here")
        return error

    monkeypatch.setattr(KernelPrefill, "relative_error", measured)
    cache = KVCache(TINY, CAPACITY, device=DEVICE)
    prefill = prefill_on_gpu(right._model, cache, 0, right._decode_fn)
    assert type(prefill) is Prefill and says in caplog.text
    prompt = prompt_of(50)
    torch.testing.assert_close(read(prefill, [prompt])[0], read(right, [prompt])[0], rtol=1e-4, atol=1e-4)


def test_what_is_captured_writes_each_place_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind: what the check left in the inputs made two positions write to one place, in any order."""
    prefill = prefill_of()
    prefill.relative_error()
    monkeypatch.setattr(prefill._graphs, "capture", lambda keys, device: None)
    prefill.capture()
    places = prefill._inputs[FIRST, : blocks(PREFILL_CHUNK)].repeat_interleave(PREFILL_BLOCK)
    assert len((places + prefill._inputs[POSITION]).unique()) == PREFILL_CHUNK


def test_a_prompt_gets_the_same_in_any_company() -> None:
    prefill = prefill_of()
    prompts = [prompt_of(length, seed=length) for length in (70, 20, 1, 16)]
    together = read(prefill, prompts)
    for prompt, filled in zip(prompts, together, strict=True):
        [alone] = read(prefill, [prompt])
        torch.testing.assert_close(filled, alone, rtol=1e-5, atol=1e-5)
    reference = Prefill(prefill._model, KVCache(TINY, CAPACITY, device=DEVICE), 0)
    for prompt, filled in zip(prompts, together, strict=True):
        torch.testing.assert_close(filled, read(reference, [prompt])[0], rtol=1e-4, atol=1e-4)


def test_what_is_kept_of_a_voice_is_bit_identical_in_any_company() -> None:
    prefill = prefill_of(kept_positions=CAPACITY)
    voice = prompt_of(60, prefix=40)
    read(prefill, [prompt_of(30, seed=1), voice, prompt_of(90, prefix=50, seed=2)])
    kept = prefill._prefixes.find(voice).clone()
    prefill.forget_prefixes()
    read(prefill, [voice])
    assert torch.equal(prefill._prefixes.find(voice), kept)


def test_a_kept_voice_is_read_no_more_and_changes_no_bit() -> None:
    prefill = prefill_of(kept_positions=CAPACITY)
    voice = prompt_of(60, prefix=40)
    [first] = read(prefill, [voice])
    assert prefill.prefilled_positions == 60
    [again] = read(prefill, [voice])
    assert prefill.prefilled_positions == 60 + 20 and torch.equal(first, again)
    assert prefill.prefix_use.hits == prefill.prefix_use.misses == 1


def test_who_needs_a_voice_that_is_just_being_read_waits_for_it() -> None:
    prefill = prefill_of(kept_positions=CAPACITY)
    voice = prompt_of(60, prefix=40)
    same = replace(voice, input_ids=torch.cat((voice.input_ids[:40], voice.input_ids[:20])))
    reading = prefill.begin(voice)
    assert not prefill.has_room(same) and prefill.has_room(prompt_of(60, prefix=40, seed=1))
    prefill.run_pass([reading])
    assert reading.length == 40 and prefill.has_room(same)
    assert prefill.begin(same).length == 40, "it is kept by now"


def test_prompts_share_the_cache_and_a_pass_as_long_as_there_is_room() -> None:
    prefill = prefill_of()
    one, two, three = [prefill.begin(prompt_of(length, seed=length)) for length in (60, 40, 50)]
    assert [reading.first for reading in (one, two, three)] == [0, 60, 100]
    prefill.end(two)
    assert prefill.begin(prompt_of(45, seed=1)).first == 150, "the gap of 40 is too small"
    assert prefill.has_room(prompt_of(205)) and not prefill.has_room(prompt_of(206))
    assert prefill.begin(prompt_of(10, seed=2)).first == 60
    assert prefill.begin(prompt_of(64, seed=3)).first == 195
    assert not prefill.has_room(prompt_of(1)), "4 + 4 + 3 + 1 + 4 blocks of 16 are a pass"


def test_a_pass_that_is_full_goes_on_with_the_next_one() -> None:
    prefill = prefill_of()
    readings = [prefill.begin(prompt_of(length, seed=length)) for length in (200, 90)]
    prefill.run_pass(readings)
    assert [reading.length for reading in readings] == [200, 48], "13 blocks, and 3 that are left of 16"
    prefill.run_pass(readings[1:])
    assert readings[1].complete and prefill.prefilled_positions == 290


@pytest.mark.parametrize(
    "wrong", [{"input_ids": CONFIG.vocab_size}, {"audio_columns": 1026}, {"audio_columns": -1}]
)
def test_a_prompt_without_embeddings_is_refused_before_the_device_sees_it(wrong: dict[str, int]) -> None:
    prefill, prompt = prefill_of(), prompt_of(20)
    [(part, value)] = wrong.items()
    changed = getattr(prompt, part).clone()
    changed[3] = value
    with pytest.raises(IndexError, match=f"{value}"):
        prefill.begin(replace(prompt, **{part: changed}))
    assert prefill.has_room(prompt_of(CAPACITY))


@contextmanager
def engine_of(slots: int) -> Iterator[tuple[Engine, KernelPrefill]]:
    """An engine that reads by the kernels, and steps as on a CPU."""
    engine = Engine(model_of(TINY), slots=slots, capacity=CAPACITY)
    if DEVICE == "cpu":
        engine._prefill = engine._batch._prefill = prefill_of(kept_positions=CAPACITY)
    assert isinstance(engine._prefill, KernelPrefill)
    yield engine, engine._prefill
    engine.close()


def test_requests_at_once_each_get_their_own_and_a_poisoned_one_harms_nobody() -> None:
    prompts = [prompt_of(10 + 3 * number, seed=number) for number in range(5)]
    poisoned = replace(prompts[2], input_ids=prompts[2].input_ids + 10_000)
    options = SamplingOptions(seed=3, top_k=5)
    with engine_of(slots=8) as (engine, prefill):
        alone = [torch.cat(list(engine.submit(prompt, options, 20)), dim=1) for prompt in prompts]
        passes: list[list[int]] = []
        read = prefill.read

        def counted(chunks: list[tuple[Reading, int]]) -> None:
            passes.append([count for _, count in chunks])
            read(chunks)

        prefill.read = counted  # type: ignore[method-assign]
        with engine._changed:  # all are there before the engine looks
            generations = [engine.submit(prompt, options, 20) for prompt in [*prompts, poisoned]]
        together = [torch.cat(list(generation), dim=1) for generation in generations[:-1]]
        with pytest.raises(ModelError, match="ids or codes"):
            list(generations[-1])
        assert engine.failed is None
    # The poisoned one is found before the pass, which is put off to behind a step.
    assert passes == [[10, 13, 16, 19, 22]]
    equal = torch.stack([(one == other).float().mean() for one, other in zip(alone, together, strict=True)])
    assert equal.min() == 1 if DEVICE == "cpu" else equal.mean() > 0.9
