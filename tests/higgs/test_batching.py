"""Many requests at once: each gets the codes it would get alone, and each comes to its own end."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from errors import Cancelled, ModelError, Overloaded
from higgs.engine.engine import Engine
from higgs.engine.prefill import PREFILL_CHUNK
from higgs.engine.request import Generation
from higgs.engine.sampler import SamplingOptions
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt
from tests.higgs.test_engine import SAMPLED, clone_prompt, frames_of
from tests.tiny import CONFIG, tiny_model

POISON = 7  # a prompt that begins with it can't be read


class PoisonedModel(HiggsModel):
    """Fails on prompts that begin with POISON."""

    def embed(self, input_ids: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if input_ids[0, 0] == POISON:
            raise RuntimeError("poisoned")
        return super().embed(input_ids, *rest)


def some_prompt(random_numbers: random.Random, length: int) -> Prompt:
    """Text, audio, text; the last part is the request's own, the rest one of three voices."""
    voice = torch.Generator().manual_seed(random_numbers.randrange(3))
    own = torch.Generator().manual_seed(random_numbers.randrange(2**32))
    begun = torch.randint(10, 250, (40,), generator=voice)
    ids = torch.cat((begun, torch.randint(10, 250, (length,), generator=own)))
    mask = torch.zeros(len(ids), dtype=torch.bool)
    mask[10:30] = True
    columns = torch.randint(0, 1024, (len(ids), 8), generator=voice)
    return Prompt(ids, columns, mask, prefix=40)


def some_options(random_numbers: random.Random) -> SamplingOptions:
    return SamplingOptions(
        temperature=random_numbers.choice([0.0, 0.5, 1.0]),
        top_k=random_numbers.choice([None, 5, 50]),
        top_p=random_numbers.choice([0.8, 1.0]),
        ras_window=random_numbers.choice([0, 7]),
        seed=random_numbers.randrange(1000),
    )


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(tiny_model(), slots=4, capacity=512, queue_limit=1000)
    yield engine
    engine.close()


def test_a_request_gets_the_same_codes_alone_and_in_any_batch(engine: Engine) -> None:
    numbers = random.Random(0)
    cases = [
        (some_prompt(numbers, numbers.randrange(1, 100)), some_options(numbers), numbers.randrange(9, 200))
        for _ in range(24)
    ]
    together = []
    for case in cases:
        together.append(engine.submit(*case))
        threading.Event().wait(numbers.random() * 0.02)
    batched = [frames_of(generation) for generation in together]
    alone = Engine(tiny_model(), slots=1, capacity=1024)
    for case, frames in zip(cases, batched, strict=True):
        assert torch.equal(frames_of(alone.submit(*case)), frames)
    alone.close()


def test_a_voice_that_was_read_is_not_read_again(engine: Engine) -> None:
    """Whether its prefix is kept or read changes no code."""
    prompt = some_prompt(random.Random(1), 30)
    first = frames_of(engine.submit(prompt, SAMPLED, 60))
    assert engine.prefilled_positions == 70
    again = frames_of(engine.submit(prompt, SAMPLED, 60))
    assert engine.prefilled_positions == 70 + 30
    assert torch.equal(first, again)
    assert frames_of(engine.submit(replace(prompt, prefix=0), SAMPLED, 60)).shape == first.shape
    assert engine.prefilled_positions == 100 + 70


def test_the_least_recently_used_voice_is_forgotten_first() -> None:
    engine = Engine(tiny_model(), capacity=120)  # keeps 240 positions: six prefixes of 40
    voices = [
        replace(prompt, input_ids=prompt.input_ids + voice)
        for voice in range(7)
        for prompt in [some_prompt(random.Random(1), 5)]
    ]

    def read(voice: int) -> int:
        before = engine.prefilled_positions
        frames_of(engine.submit(voices[voice], SAMPLED, 9))
        return engine.prefilled_positions - before

    assert [read(voice) for voice in (0, 1, 2, 3, 4, 5)] == [45] * 6
    assert read(0) == 5
    assert read(6) == 45
    assert read(0) == 5
    assert read(1) == 45
    engine.close()


def test_a_long_prompt_is_read_between_the_steps_of_others() -> None:
    engine = Engine(tiny_model(), slots=2, capacity=8 * PREFILL_CHUNK)
    running = engine.submit(clone_prompt(), SAMPLED, 1500)
    next(iter(running))
    long = some_prompt(random.Random(2), 6 * PREFILL_CHUNK)
    waiting = engine.submit(long, SAMPLED, 20)
    before = running.columns
    frames_of(waiting)
    assert running.columns - before >= 6, "a step stood between two pieces"
    running.cancel()
    engine.close()


def test_a_poisoned_prompt_harms_nobody_else() -> None:
    model = PoisonedModel(CONFIG)
    model.load_state_dict(tiny_model().state_dict())
    engine = Engine(model, slots=4, capacity=512)
    prompt = clone_prompt()
    poisoned = replace(prompt, input_ids=prompt.input_ids.clone())
    poisoned.input_ids[0] = POISON
    alone = frames_of(engine.submit(prompt, SAMPLED, 200))
    healthy = [engine.submit(prompt, SAMPLED, 200)]
    sick = [engine.submit(poisoned, SAMPLED, 200) for _ in range(3)]
    healthy.append(engine.submit(prompt, SAMPLED, 200))
    for generation in sick:
        with pytest.raises(ModelError, match="poisoned"):
            list(generation)
    assert all(torch.equal(frames_of(generation), alone) for generation in healthy)
    engine.close()


def test_hundreds_of_random_requests_each_come_to_one_end() -> None:
    """Arrivals, lengths, cancellations, poisoned prompts: no slot leaks, no stream is without an end."""
    model = PoisonedModel(CONFIG)
    model.load_state_dict(tiny_model().state_dict())
    engine = Engine(model, slots=5, capacity=512, queue_limit=20)
    numbers = random.Random(3)
    ends: list[str] = []
    refused = 0

    def listen(generation: Generation) -> None:
        try:
            frames = frames_of(generation)
            assert frames.shape[1] <= generation.max_steps - 8 and bool((frames < CONFIG.bos_code).all())
            ends.append(str(generation.finish_reason))
        except (Cancelled, ModelError) as error:
            ends.append(type(error).__name__)

    listeners = []
    for _ in range(400):
        prompt = some_prompt(numbers, numbers.randrange(1, 120))
        if numbers.random() < 0.05:
            prompt.input_ids[0] = POISON
        try:
            generation = engine.submit(prompt, some_options(numbers), numbers.randrange(9, 60))
        except Overloaded:
            refused += 1
            threading.Event().wait(0.05)
            continue
        listeners.append(threading.Thread(target=listen, args=(generation,)))
        listeners[-1].start()
        if numbers.random() < 0.3:
            threading.Timer(numbers.random() * 0.2, generation.cancel).start()
        threading.Event().wait(numbers.random() * 0.01)
    for listener in listeners:
        listener.join(60)
        assert not listener.is_alive()
    assert len(ends) == len(listeners) == 400 - refused
    assert set(ends) >= {"length", "Cancelled", "ModelError"}
    soon = time.monotonic() + 10  # a stream ends a moment before its slot is free
    while engine.running and time.monotonic() < soon:
        time.sleep(0.01)
    assert engine.waiting == engine.running == 0
    assert frames_of(engine.submit(clone_prompt(), SAMPLED, 20)).shape[0] == 8
    engine.close()
