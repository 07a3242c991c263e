"""The engine: the codes of the references, and requests that each end in exactly one way."""

import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

from errors import Cancelled, EngineFailed, InvalidRequest, ModelError, Overloaded, ShuttingDown
from higgs.engine.engine import Engine
from higgs.engine.failure import MAX_FAILURES
from higgs.engine.request import Generation
from higgs.engine.sampler import SamplingOptions
from higgs.engine.stall_detector import PATIENCE
from higgs.model.delay import undo_delay
from higgs.prompts.v2 import Prompt
from tests.golden import lm_cases as cases
from tests.golden.lm_golden import load_golden
from tests.tiny import CONFIG, random_weights, tiny_model

GREEDY = SamplingOptions(temperature=0, ras_window=0)
SAMPLED = SamplingOptions(seed=11)


class ScriptedPath:
    """Distributions that follow a script of codes [N, 8] behind the prompt; it can be held up, or fail."""

    def __init__(self, script: torch.Tensor) -> None:
        self.script = script
        self.may_step = threading.Event()
        self.may_step.set()
        self.fails, self.error = False, "out of memory"

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        self.may_step.wait(10)
        if self.fails:
            raise RuntimeError(self.error)
        codes = self.script[(positions - len(clone_prompt())) % len(self.script)]
        return torch.nn.functional.one_hot(codes, CONFIG.codebook_size).float()

    def engine(self, slots: int = 1, queue_limit: int = 32) -> Engine:
        return Engine(
            tiny_model(), slots=slots, queue_limit=queue_limit, make_decode_fn=lambda model, cache: self
        )


def clone_prompt() -> Prompt:
    golden = load_golden()
    ids = golden["prompt.transcript.input_ids"]
    return Prompt(ids, golden["prompt.transcript.columns"], ids == CONFIG.audio_token_id)


def frames_of(generation: Generation) -> torch.Tensor:
    return torch.cat([torch.empty(8, 0, dtype=torch.int64), *generation], dim=1)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(tiny_model(), capacity=512)
    yield engine
    engine.close()


@pytest.fixture
def endless() -> Iterator[tuple[Engine, ScriptedPath]]:
    """An engine for one request and two that wait; no stream ends by itself, and all wait to be let go."""
    path = ScriptedPath(torch.zeros(1, 8, dtype=torch.int64))
    path.may_step.clear()
    engine = path.engine(queue_limit=2)
    yield engine, path
    path.may_step.set()
    engine.close()


def test_greedy_codes_equal_bosons(engine: Engine) -> None:
    generation = engine.submit(clone_prompt(), GREEDY, cases.GREEDY_COLUMNS)
    frames = frames_of(generation)
    assert frames.shape == (8, 60)
    assert torch.equal(frames, undo_delay(load_golden()["greedy"])[:, 1:])
    assert generation.finish_reason == "length" and generation.columns == cases.GREEDY_COLUMNS


@pytest.mark.parametrize("part", ["input_ids", "audio_columns"])
def test_a_prompt_without_embeddings_is_refused_and_costs_nobody(engine: Engine, part: str) -> None:
    """Kind: on a GPU an id beyond the table ends the process; a code may be read from another codebook."""
    wrong = replace(clone_prompt(), **{part: getattr(clone_prompt(), part) + 10_000})
    sick, healthy = (engine.submit(prompt, GREEDY, 30) for prompt in (wrong, clone_prompt()))
    with pytest.raises(ModelError, match="ids or codes"):
        frames_of(sick)
    assert frames_of(healthy).shape[1] and engine.failed is None


def test_greedy_codes_equal_transformers(engine: Engine) -> None:
    native = HiggsAudioV2ForConditionalGeneration(HiggsAudioV2Config(**CONFIG.to_native_dict())).eval()
    native.load_state_dict(random_weights(CONFIG))
    prompt = clone_prompt()
    columns = native.generate(
        input_ids=prompt.input_ids[None],
        audio_input_ids=prompt.audio_columns[prompt.audio_mask][None],
        audio_input_ids_mask=torch.ones(1, prompt.audio_tokens, dtype=torch.bool),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.bool),
        max_new_tokens=cases.GREEDY_COLUMNS,
        do_sample=False,
    )[0, prompt.audio_tokens :]
    assert len(columns) == cases.GREEDY_COLUMNS
    ours = frames_of(engine.submit(prompt, GREEDY, cases.GREEDY_COLUMNS))
    assert torch.equal(ours, undo_delay(columns)[:, 1:])


@pytest.mark.parametrize("case", range(0, len(cases.scripts()), 3))
def test_streams_end_like_bosons(case: int) -> None:
    golden = load_golden()
    engine = ScriptedPath(cases.scripts()[case]).engine()
    generation = engine.submit(clone_prompt(), GREEDY, cases.SCRIPT_COLUMNS + 1)
    frames = frames_of(generation)
    engine.close()
    if f"end.{case}.frames" in golden:
        assert generation.finish_reason == "stop"
        assert torch.equal(frames, golden[f"end.{case}.frames"])
    else:
        assert generation.finish_reason == "length"
    assert generation.columns == len(golden[f"end.{case}.columns"])


@pytest.mark.parametrize("min_frames", [0, 1, 7, 30])
def test_no_stream_ends_before_its_least_frames(min_frames: int) -> None:
    """Kind: a model that breaks off within a sentence ("First, wash your hands." ended behind "First")."""
    script = torch.full((1, CONFIG.num_codebooks), CONFIG.eos_code)
    engine = ScriptedPath(script).engine(slots=2)
    other = engine.submit(clone_prompt(), GREEDY, 60, min_frames=12)
    generation = engine.submit(clone_prompt(), GREEDY, 60, min_frames=min_frames)
    assert [frames_of(each).shape[1] for each in (generation, other)] == [min_frames, 12]
    assert generation.finish_reason == other.finish_reason == "stop"
    engine.close()


def test_a_cut_stream_holds_the_frames_that_a_longer_one_begins_with(engine: Engine) -> None:
    long = frames_of(engine.submit(clone_prompt(), SAMPLED, 80))
    short = frames_of(engine.submit(clone_prompt(), SAMPLED, 50))
    assert short.shape == (8, 42) and torch.equal(short, long[:, :42])


def test_a_seed_gives_the_same_codes_again(engine: Engine) -> None:
    first = frames_of(engine.submit(clone_prompt(), SAMPLED, 40))
    other = frames_of(engine.submit(clone_prompt(), SamplingOptions(seed=12), 40))
    unseeded = engine.submit(clone_prompt(), SamplingOptions(), 40)
    drawn = frames_of(unseeded)
    assert torch.equal(frames_of(engine.submit(clone_prompt(), SAMPLED, 40)), first)
    assert not torch.equal(first, other)
    again = SamplingOptions(seed=unseeded.seed)
    assert torch.equal(frames_of(engine.submit(clone_prompt(), again, 40)), drawn)


def test_nothing_is_kept_of_a_request_that_has_ended(engine: Engine) -> None:
    generation = engine.submit(clone_prompt(), SAMPLED, 60)
    frames_of(generation)
    kept = weakref.ref(generation)
    del generation
    until = time.monotonic() + 10
    while kept() is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert kept() is None


def test_frames_come_while_the_stream_goes_on(endless: tuple[Engine, ScriptedPath]) -> None:
    engine, path = endless
    generation = engine.submit(clone_prompt(), GREEDY, 3000)
    path.may_step.set()
    pieces = iter(generation)
    first = next(pieces)
    assert first.shape == (8, 4) and first.dtype == torch.int64
    assert generation.finish_reason is None
    generation.cancel()
    with pytest.raises(Cancelled):
        list(pieces)


def test_requests_are_answered_in_their_order(endless: tuple[Engine, ScriptedPath]) -> None:
    engine, path = endless
    generations = [engine.submit(clone_prompt(), GREEDY, 20)]
    while engine.waiting:
        threading.Event().wait(0.001)
    generations += [engine.submit(clone_prompt(), GREEDY, 20) for _ in range(2)]
    with pytest.raises(Overloaded):
        engine.submit(clone_prompt(), GREEDY, 20)
    path.may_step.set()
    list(generations[2])
    assert [generation.finish_reason for generation in generations] == ["length"] * 3


def test_a_cancelled_request_leaves_the_queue_at_once(endless: tuple[Engine, ScriptedPath]) -> None:
    engine, _ = endless
    engine.submit(clone_prompt(), GREEDY, 20)
    while engine.waiting:
        threading.Event().wait(0.001)
    waiting = [engine.submit(clone_prompt(), GREEDY, 20) for _ in range(2)]
    waiting[0].cancel()
    with pytest.raises(Cancelled):
        list(waiting[0])
    assert engine.submit(clone_prompt(), GREEDY, 20).finish_reason is None


def test_a_failure_fails_its_request_only(endless: tuple[Engine, ScriptedPath]) -> None:
    engine, path = endless
    path.fails = True
    path.may_step.set()
    with pytest.raises(ModelError, match="out of memory"):
        list(engine.submit(clone_prompt(), GREEDY, 20))
    path.fails = False
    assert frames_of(engine.submit(clone_prompt(), GREEDY, 20)).shape == (8, 12)


def test_a_lost_device_ends_the_engine_and_all_who_wait() -> None:
    """A failed assertion on CUDA makes every later call fail: serving on would answer 500 for ever."""
    path = ScriptedPath(torch.zeros(1, 8, dtype=torch.int64))
    path.may_step.clear()
    engine = path.engine()
    told: list[EngineFailed] = []
    engine.when_failed(told.append)
    running, waiting = (engine.submit(clone_prompt(), GREEDY, 20) for _ in range(2))
    path.fails, path.error = True, "CUDA error: device-side assert triggered"
    path.may_step.set()
    with pytest.raises(ModelError, match="device-side assert"):
        list(running)
    with pytest.raises(EngineFailed, match="lost"):
        list(waiting)
    with pytest.raises(EngineFailed):
        engine.submit(clone_prompt(), GREEDY, 20)
    engine.close()
    assert told == [engine.failed]
    engine.when_failed(told.append)
    assert told == [engine.failed] * 2


def test_an_engine_that_fails_again_and_again_gives_up() -> None:
    path = ScriptedPath(torch.zeros(1, 8, dtype=torch.int64))
    engine = path.engine()
    for failures in (MAX_FAILURES - 1, MAX_FAILURES):
        path.fails = True
        for _ in range(failures):
            with pytest.raises(ModelError):
                list(engine.submit(clone_prompt(), GREEDY, 20))
        if failures < MAX_FAILURES:
            path.fails = False
            list(engine.submit(clone_prompt(), GREEDY, 20))  # one that ends well counts them anew
            assert engine.failed is None
    engine.close()
    assert engine.failed is not None and "in a row" in engine.failed.message


def test_closing_fails_what_has_not_ended() -> None:
    engine = ScriptedPath(torch.zeros(1, 8, dtype=torch.int64)).engine()
    running, waiting = (engine.submit(clone_prompt(), GREEDY, 3000) for _ in range(2))
    next(iter(running))
    engine.close()
    for generation in (running, waiting):
        with pytest.raises(ShuttingDown):
            list(generation)
    with pytest.raises(ShuttingDown):
        engine.submit(clone_prompt(), GREEDY, 20)


def test_a_request_that_does_not_fit_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        engine.submit(clone_prompt(), GREEDY, 512)
    assert refusal.value.code == "context_length_exceeded"
    with pytest.raises(InvalidRequest):
        engine.submit(clone_prompt(), GREEDY, 8)


def test_a_stream_that_goes_in_circles_is_cut() -> None:
    path = ScriptedPath(torch.arange(20)[:, None].expand(20, 8).clone())
    engine = path.engine()
    generation = engine.submit(clone_prompt(), GREEDY, 1000)
    frames = frames_of(generation)
    engine.close()
    assert generation.finish_reason == "length"
    assert PATIENCE < frames.shape[1] < PATIENCE + 3 * 20
