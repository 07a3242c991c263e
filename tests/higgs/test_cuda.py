"""On a GPU: graphs compute what eager steps do, bfloat16 what float32 does nearly, and a seed is a seed.

Skipped without one; tests/cuda_shapes executes the same path on fake tensors.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.sound import published_network
from bench.subject import SHAPES, UNREACHABLE_CODE, random_model, some_prompt
from errors import ModelError, StartError
from higgs.codecs.base import decode
from higgs.codecs.higgs_v2.buckets import Window, all_buckets
from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.codecs.higgs_v2.gpu_decode import GpuDecode
from higgs.cpu.decode import cache_for, decode_fn_for, prefill_for
from higgs.cpu.sampler import model_runner_for
from higgs.cuda.decode import KernelDecode, relative_error
from higgs.cuda.prefill import KernelPrefill
from higgs.cuda.sampler import KernelColumnWriter, column_writer_on_gpu
from higgs.engine.cuda_graphs import Graphs, Part
from higgs.engine.engine import Engine
from higgs.engine.kv_cache import KVCache
from higgs.engine.sampler import SamplingOptions
from higgs.model.config import HiggsConfig
from higgs.model.quantised import KINDS, check_weights
from higgs.model.transformer import HiggsModel
from tests.golden.lm_cases import GREEDY_COLUMNS
from tests.golden.lm_golden import load_golden
from tests.higgs.test_engine import clone_prompt, frames_of
from tests.tiny import CONFIG, random_weights
from tests.tiny_codec import NATIVE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

DEVICE = torch.device("cuda", 0)


def model_on_gpu(dtype: torch.dtype, config: HiggsConfig = CONFIG) -> HiggsModel:
    with torch.device("meta"):
        model = HiggsModel(config)
    weights = {name: part.to(DEVICE, dtype) for name, part in random_weights(config).items()}
    model.load_state_dict(weights, assign=True)
    model.move_buffers(DEVICE)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module", autouse=True)
def all_graphs() -> Iterator[None]:
    """Whatever a load in this process has set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Graphs, "parts", ("model", "codec"))
        yield


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(model_on_gpu(torch.float32), slots=4, capacity=512)
    yield engine
    engine.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_graphs_write_what_eager_steps_write(dtype: torch.dtype) -> None:
    model = model_on_gpu(dtype)
    cache = cache_for(model, 4, 512)
    runner = model_runner_for(CONFIG, decode_fn_for(model, cache), cache)
    assert runner._graphs._captured.keys() == runner._buckets.all()
    filled = KVCache(CONFIG, 40, device=DEVICE, dtype=dtype)
    filled.data.normal_()
    filled.length = 40

    def columns() -> list[list[list[int]]]:
        for row, options in enumerate((SamplingOptions(), SamplingOptions(top_k=None), SamplingOptions(0))):
            runner.start(row, filled.filled(), options, row, 60)
        return [runner.step(3, 41 + step).wait() for step in range(50)]

    by_graph = columns()
    runner._graphs._captured.clear()
    assert columns() == by_graph


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("qk_norm", [False, True])
@torch.inference_mode()
def test_the_kernels_serve_and_compute_what_the_eager_path_does(qk_norm: bool, dtype: torch.dtype) -> None:
    """Where Triton finds a C compiler; tests/cuda_shapes/test_kernels.py compares them one by one."""
    model = model_on_gpu(dtype, replace(CONFIG, qk_norm=qk_norm))
    decode_fn = decode_fn_for(model, cache_for(model, 8, 512))
    prefill = prefill_for(model, decode_fn, 512, kept_positions=0)
    assert isinstance(decode_fn, KernelDecode) and isinstance(prefill, KernelPrefill)
    tolerance = 1e-4 if dtype == torch.float32 else 0.05
    assert relative_error(decode_fn.eager, decode_fn) < tolerance
    assert len(prefill._graphs._captured) == 12 and prefill.relative_error() < tolerance


@pytest.mark.parametrize("generation", [2, 3])
def test_the_samplers_kernels_serve_and_give_the_codes_of_torch(generation: int) -> None:
    """tests/cuda_shapes/test_sampling.py tries all kinds of options and logits."""
    assert column_writer_on_gpu(replace(CONFIG, generation=generation), DEVICE) is KernelColumnWriter


@pytest.mark.parametrize("weights", list(KINDS))
def test_matrices_of_8_bits_are_multiplied_as_on_a_cpu(weights: str) -> None:
    if torch.cuda.get_device_capability(DEVICE) < KINDS[weights].capability:
        with pytest.raises(StartError, match="compute capability"):
            check_weights(weights, DEVICE)
    else:
        check_weights(weights, DEVICE)


def test_greedy_codes_on_a_gpu_are_those_of_boson(engine: Engine) -> None:
    golden = load_golden()["greedy"]
    frames = frames_of(
        engine.submit(clone_prompt(), SamplingOptions(temperature=0, ras_window=0), GREEDY_COLUMNS)
    )
    books = [golden[1 + book : 61 + book, book] for book in range(8)]
    assert (frames == torch.stack(books)).float().mean() > 0.9


@torch.inference_mode()
def test_bfloat16_logits_are_near_those_of_float32() -> None:
    prompt = clone_prompt()
    ids, columns, mask = (part[None] for part in (prompt.input_ids, prompt.audio_columns, prompt.audio_mask))
    positions = torch.arange(len(prompt), device=DEVICE)[None]

    def distributions(dtype: torch.dtype) -> torch.Tensor:
        model = model_on_gpu(dtype)
        embeddings = model.embed(ids.to(DEVICE), columns.to(DEVICE), mask.to(DEVICE))
        return model.audio_logits(model(embeddings, mask, positions)).float().log_softmax(-1)

    exact, rounded = distributions(torch.float32), distributions(torch.bfloat16)
    divergence = (exact.exp() * (exact - rounded)).sum(-1)
    assert divergence.mean() < 0.02


def test_a_seed_gives_the_same_codes_in_any_company(engine: Engine) -> None:
    options = SamplingOptions(seed=5)
    alone = frames_of(engine.submit(clone_prompt(), options, 60))
    company = (SamplingOptions(top_k=None), SamplingOptions(0.3, 1, 0.1), SamplingOptions(0, ras_window=0))
    others = [engine.submit(clone_prompt(), replace(other, seed=1), 80) for other in company]
    beside = frames_of(engine.submit(clone_prompt(), options, 60))
    for other in others:
        frames_of(other)
    assert isinstance(engine._batch._runner._columns, KernelColumnWriter)
    assert (alone == beside).float().mean() > 0.95, "batches round otherwise, but only now and then"


def test_a_kept_voice_changes_no_bit(engine: Engine) -> None:
    prompt = replace(clone_prompt(), prefix=20)
    first, again = (frames_of(engine.submit(prompt, SamplingOptions(seed=5), 60)) for _ in range(2))
    assert engine.prefix_use.hits == 1 and torch.equal(first, again)


@torch.inference_mode()
def test_prompts_that_are_read_together_are_read_as_alone() -> None:
    model = model_on_gpu(torch.float32)
    prefill = prefill_for(model, decode_fn_for(model, cache_for(model, 8, 512)), 512, kept_positions=0)
    prompts = [replace(clone_prompt(), prefix=prefix) for prefix in (0, 10, 20)]
    readings = [prefill.begin(prompt) for prompt in prompts]
    while unread := [reading for reading in readings if not reading.complete]:
        prefill.run_pass(unread)
    together = [prefill.filled(reading).clone() for reading in readings]
    for reading in readings:
        prefill.end(reading)
    for prompt, filled in zip(prompts, together, strict=True):
        alone = prefill.begin(prompt)
        while not alone.complete:
            prefill.run_pass([alone])
        torch.testing.assert_close(filled, prefill.filled(alone), rtol=1e-4, atol=1e-4)
        prefill.end(alone)


def test_a_prompt_without_embeddings_costs_nobody(engine: Engine) -> None:
    wrong = replace(clone_prompt(), input_ids=clone_prompt().input_ids + 10_000)
    with engine._changed:  # all are there before the engine looks
        sick, healthy = (
            engine.submit(prompt, SamplingOptions(seed=1), 30) for prompt in (wrong, clone_prompt())
        )
    with pytest.raises(ModelError, match="ids or codes"):
        list(sick)
    assert frames_of(healthy).shape[1] and engine.failed is None


def test_a_hostile_temperature_costs_nobody(engine: Engine) -> None:
    def healthy() -> torch.Tensor:
        return frames_of(engine.submit(clone_prompt(), SamplingOptions(seed=1), 30))

    before = healthy()
    frames_of(engine.submit(clone_prompt(), SamplingOptions(temperature=1e-39), 30))
    assert torch.equal(healthy(), before) and engine.failed is None


def test_the_codec_on_a_gpu_is_that_of_the_cpu() -> None:
    cpu, gpu = WaveformCodec.load(NATIVE), WaveformCodec.load(NATIVE, DEVICE)
    noise = np.random.default_rng(0).standard_normal(24_000).astype(np.float32) / 10
    codes = cpu.encode(noise)
    assert (gpu.encode(noise) == codes).float().mean() > 0.98
    # TF32 keeps 11 bits of each factor.
    np.testing.assert_allclose(decode(gpu, codes), decode(cpu, codes), rtol=0, atol=5e-3)


@pytest.fixture(scope="module")
def codec() -> WaveformCodec:
    return WaveformCodec.load(NATIVE, DEVICE)


def random_windows(*frames: int) -> list[Window]:
    generator = torch.Generator().manual_seed(0)
    return [Window(torch.randint(1024, (8, count), generator=generator), False, False) for count in frames]


@torch.inference_mode()
def test_the_codecs_graphs_decode_what_eager_calls_do(codec: WaveformCodec) -> None:
    gpu_decode = GpuDecode(codec.network, threading.Lock())
    assert gpu_decode._graphs._captured.keys() == set(all_buckets())
    windows = {length: random_windows(*[length] * rows) for length, rows in all_buckets()}
    by_graph = {length: gpu_decode(of_length) for length, of_length in windows.items()}
    gpu_decode._graphs._captured.clear()
    for length, of_length in windows.items():
        for ours, eager in zip(by_graph[length], gpu_decode(of_length), strict=True):
            torch.testing.assert_close(ours, eager, rtol=0, atol=1e-3)


def test_windows_decoded_together_are_those_decoded_alone(codec: WaveformCodec) -> None:
    gpu_decode = GpuDecode(codec.network, threading.Lock())
    windows = random_windows(30, 44, 25, 33)
    for together, window in zip(gpu_decode(windows), windows, strict=True):
        torch.testing.assert_close(together, gpu_decode([window])[0], rtol=0, atol=5e-3)


def test_streams_on_a_gpu_are_heard_as_if_decoded_whole_in_any_company(codec: WaveformCodec) -> None:
    cpu, (window,) = WaveformCodec.load(NATIVE), random_windows(300)

    def streamed(pieces: list[int]) -> np.ndarray:
        decoder = codec.decoder()
        samples = [decoder.push(piece) for piece in window.codes.split(pieces, dim=1)]
        return np.concatenate([*samples, decoder.push(window.codes[:, :0], last=True)])

    sizes = [[12, 24, 48, 96, 120], [128, 128, 44], [100, 200], [300], [13] * 23 + [1], [12, 288]]
    whole = decode(cpu, window.codes)
    with ThreadPoolExecutor(len(sizes)) as pool:
        for samples in pool.map(streamed, sizes):
            np.testing.assert_allclose(samples, whole, rtol=0, atol=5e-3)


def test_a_code_that_is_none_costs_no_other_stream(codec: WaveformCodec) -> None:
    codes = random_windows(12)[0].codes
    with pytest.raises(ModelError, match="code"):
        codec.decoder().push(codes + 1024)
    assert codec.decoder().push(codes).shape == (2 * 960,)


@pytest.mark.parametrize("parts", [("model",), ("model", "codec")])
@torch.inference_mode()
def test_the_engine_and_the_codec_work_at_the_same_time(
    parts: tuple[Part, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: graphs of both computed in one workspace of cuBLAS; products of the published sizes need it."""
    monkeypatch.setattr(Graphs, "parts", parts)
    model = random_model(replace(SHAPES["3b"], layers=2), DEVICE, torch.bfloat16)
    model.config = replace(model.config, eos_code=UNREACHABLE_CODE)
    prompt, columns = some_prompt(model.config), 200
    codec = WaveformCodec(published_network())
    engine = Engine(model, slots=4, capacity=len(prompt) + columns)

    def spoken(seed: int) -> tuple[torch.Tensor, np.ndarray]:
        frames, samples, decoder = [], [], codec.decoder()
        for frame in engine.submit(prompt, SamplingOptions(seed=seed), columns):
            frames.append(frame)
            samples.append(decoder.push(frame))
        samples.append(decoder.push(frame[:, :0], last=True))
        return torch.cat(frames, dim=1), np.concatenate(samples)

    for streams in (1, 4):
        with ThreadPoolExecutor(streams) as pool:
            for codes, samples in pool.map(spoken, range(streams)):
                alone = decode(codec, codes)
                assert np.abs(samples - alone).max() < 0.05 * np.abs(alone).max()
    engine.close()
