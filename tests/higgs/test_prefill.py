"""Passes over several prompts, where the device gains by them: who is in one, and what a failed one costs.

The kernels that read so need a GPU; here each chunk of a pass is computed by itself, so that all numbers are
those of a prompt alone. tests/cuda_shapes/test_prefill.py has the kernels.
"""

from collections.abc import Iterator

import pytest
import torch

from errors import Cancelled, ModelError
from higgs.engine.engine import Engine
from higgs.engine.kv_cache import KVCache
from higgs.engine.prefill import PREFILL_CHUNK, Chunk, Prefill, Reading, blocks, chunks_of
from higgs.engine.sampler import SamplingOptions
from higgs.prompts.v2 import Prompt
from tests.higgs.test_batching import POISON, PoisonedModel
from tests.higgs.test_engine import frames_of
from tests.tiny import CONFIG, tiny_model

CAPACITY = 512
OPTIONS = SamplingOptions(seed=3)


def prompt_of(length: int, prefix: int = 0) -> Prompt:
    ids = torch.randint(10, 250, (length,), generator=torch.Generator().manual_seed(length))
    return Prompt(
        ids, torch.zeros(length, 8, dtype=torch.int64), torch.zeros(length, dtype=torch.bool), prefix
    )


class SharedPrefill(Prefill):
    """Several prompts a pass, each in a cache of its own; `passes` has the chunks of each."""

    def __init__(self, plain: Prefill) -> None:
        super().__init__(plain._model, KVCache(CONFIG, CAPACITY), kept_positions=0)
        self.passes: list[list[int]] = []
        self._caches: dict[Reading, KVCache] = {}

    def has_room(self, prompt: Prompt) -> bool:
        return sum(blocks(reading.left) for reading in self._readings) < blocks(PREFILL_CHUNK)

    def filled(self, reading: Reading) -> torch.Tensor:
        return self._caches[reading].filled()

    def _place(self, prompt: Prompt) -> int:
        return 0

    def _compute(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self.cache = self._caches.setdefault(chunk[0], KVCache(CONFIG, CAPACITY))
            super()._compute([chunk])
        self.passes.append([count for _, count in chunks])


@pytest.fixture
def shared() -> Iterator[tuple[Engine, SharedPrefill]]:
    model = PoisonedModel(CONFIG)
    model.load_state_dict(tiny_model().state_dict())
    engine = Engine(model, slots=16, capacity=CAPACITY)
    prefill = SharedPrefill(engine._prefill)
    engine._prefill = engine._batch._prefill = prefill
    yield engine, prefill
    engine.close()


def test_a_pass_has_of_each_prompt_as_much_as_there_is_room_for() -> None:
    def counts(*lengths: int, prefix: int = 0) -> list[int]:
        readings = [Reading(prompt_of(length, prefix)) for length in lengths]
        return [count for _, count in chunks_of(readings)]

    assert counts(600) == [256], "the first one alone may fill it"
    assert counts(80, 80, 80, 80) == [80, 80, 80, 16]
    assert counts(81, 81, 81) == [81, 81, 64], "what begins a block of 16 takes it"
    assert counts(*[1] * 20) == [1] * 16
    assert counts(250, 9) == [250], "its last block is taken"
    assert counts(100, 100, prefix=40) == [40, 40], "a prefix ends its chunk"


def test_requests_that_come_at_once_share_passes_and_get_what_they_get_alone(
    shared: tuple[Engine, SharedPrefill],
) -> None:
    engine, prefill = shared
    prompts = [prompt_of(60 + number) for number in range(16)]
    alone = [frames_of(engine.submit(prompt, OPTIONS, 30)) for prompt in prompts]
    prefill.passes.clear()
    with engine._changed:  # all are there before the engine looks
        generations = [engine.submit(prompt, OPTIONS, 30) for prompt in prompts]
    assert all(torch.equal(frames_of(each), frames) for each, frames in zip(generations, alone, strict=True))
    assert sum(map(sum, prefill.passes)) == sum(map(len, prompts))
    assert len(prefill.passes) == 5, "16 x 5 blocks of 16 positions, 16 a pass"
    assert max(map(sum, prefill.passes)) <= PREFILL_CHUNK
    assert not prefill._readings


def test_a_poisoned_prompt_costs_those_beside_it_nothing(shared: tuple[Engine, SharedPrefill]) -> None:
    engine, prefill = shared
    healthy = [prompt_of(40 + number) for number in range(6)]
    alone = [frames_of(engine.submit(prompt, OPTIONS, 30)) for prompt in healthy]
    poisoned = [prompt_of(30), prompt_of(20)]
    for prompt in poisoned:
        prompt.input_ids[0] = POISON
    with engine._changed:
        generations = [
            engine.submit(prompt, OPTIONS, 30) for prompt in [*healthy[:2], *poisoned, *healthy[2:]]
        ]
    for sick in generations[2:4]:
        with pytest.raises(ModelError, match="poisoned"):
            list(sick)
    well = [*generations[:2], *generations[4:]]
    assert all(torch.equal(frames_of(each), frames) for each, frames in zip(well, alone, strict=True))
    assert engine.failed is None and not prefill._readings and not engine._batch._readings


def test_many_poisoned_prompts_in_a_pass_count_once_each(shared: tuple[Engine, SharedPrefill]) -> None:
    """The engine gives up after five failures in a row: the pass that four share must not be the fifth."""
    engine, _ = shared
    poisoned = prompt_of(30)
    poisoned.input_ids[0] = POISON
    with engine._changed:
        generations = [engine.submit(poisoned, OPTIONS, 30) for _ in range(4)]
    for generation in generations:
        with pytest.raises(ModelError, match="poisoned"):
            list(generation)
    assert engine.failed is None
    assert frames_of(engine.submit(prompt_of(40), OPTIONS, 30)).shape == (8, 22)


def test_who_leaves_while_it_is_read_makes_room(shared: tuple[Engine, SharedPrefill]) -> None:
    engine, prefill = shared
    long = prompt_of(450)
    alone = frames_of(engine.submit(long, OPTIONS, 30))
    with engine._changed:
        leaving, staying = (engine.submit(long, OPTIONS, 30) for _ in range(2))
        leaving.cancelled = True  # as it is where it left while its first chunk was read
    with pytest.raises(Cancelled):
        list(leaving)
    assert torch.equal(frames_of(staying), alone)
    assert prefill.passes == [[256], [194], [256], [256], [194]]
    assert not prefill._readings
