"""The engine and the codec on cuda:0 from start to end, at the bundled model's, the 3B's and v3's shapes.

Covers: tensors that meet on different devices, shapes that don't fit, waits for the GPU within a step or a
capture, graphs that are missing or never replayed, and convolutions that miss cuDNN.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from errors import ModelError

pytest.importorskip("triton")
from bench import kernels
from bench.subject import SHAPES, model_named, random_model, some_prompt
from higgs.cpu.decode import cache_for, decode_fn_for, prefill_for
from higgs.cpu.sampler import model_runner_for
from higgs.cuda import decode, prefill
from higgs.cuda.sampler import KernelColumnWriter
from higgs.engine import cuda_graphs
from higgs.engine.cuda_graphs import Graphs
from higgs.engine.engine import Engine
from higgs.engine.fused_decode import FusedDecode
from higgs.engine.memory import plan_memory, position_bytes, prompt_positions
from higgs.engine.model_runner import StepOutput
from higgs.engine.request import Generation
from higgs.engine.sampler import SamplingOptions
from higgs.model.checkpoint import load_model
from higgs.model.config import HiggsConfig
from higgs.model.delay import DelayRule
from higgs.model.transformer import HiggsModel
from tests.cuda_shapes.fake_cuda import (
    DEVICE,
    MEMORY,
    FakeGraph,
    FakeStream,
    Forbidden,
    Launches,
    Watch,
    watched,
)
from tests.published import read_shapes, write_safetensors

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="needs torch's CUDA build")

BF16 = torch.bfloat16
END = 12  # the frame at which a stream ends, and no code is one


class WatchedEngine(Engine):
    """An engine whose thread sees the fake GPU, too."""

    def _serve(self) -> None:
        with watched(Watch(serving=True)):
            super()._serve()


def written(columns: StepOutput) -> list[list[int]]:
    """What a GPU would have written: the same frames, and the end of the stream."""
    return [[7] * 8 + [END] for _ in range(len(columns._written))]


def model_of(name: str, folder: Path) -> HiggsModel:
    if name == "bundled":
        return load_model(Path("models/higgs-small"), DEVICE, BF16)
    if name == "v3":
        return model_named("v3", DEVICE, BF16)
    write_safetensors(folder / "model.safetensors", read_shapes("higgs-v2-3b.tsv"))
    (folder / "config.json").write_text(json.dumps(HiggsConfig().to_native_dict()), "utf-8")
    return load_model(folder, DEVICE, BF16, weights="int8" if name == "3b-int8" else "bf16")


def frames(generation: Generation) -> int:
    return sum(piece.shape[1] for piece in generation)


@pytest.mark.parametrize("name", ["bundled", "3b", "3b-int8", "v3"])
def test_the_engine_from_start_to_end(
    name: str, watch: Watch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(StepOutput, "wait", written)
    engine = WatchedEngine(model_of(name, tmp_path), slots=2, capacity=1024)
    assert not torch.backends.cuda.cudnn_sdp_enabled(), "it would plan anew for each shape and thread"
    runner = engine._batch._runner
    assert len(runner._buckets.all()) == 2, "one graph a batch size"
    assert isinstance(runner._columns, KernelColumnWriter), "any top_k and top_p in the same graph"
    config = engine._prefill._model.config
    of_prompts = engine._prefill.cache.data.nbytes
    assert of_prompts == prompt_positions(1024) * position_bytes(config, BF16), "as plan_memory counts it"
    prompt_graphs = len(engine._prefill._graphs._captured)  # type: ignore[attr-defined]
    assert prompt_graphs == (4 if name == "v3" else 12), "by size, and by what is text and audio"
    assert len(FakeGraph.captured) == 2 + prompt_graphs
    assert runner._graphs._captured.keys() == runner._buckets.all()
    prompt = some_prompt(replace(config, eos_code=1025))
    whole = [
        engine.submit(prompt, SamplingOptions(top_k=None, seed=1), 200),
        engine.submit(prompt, SamplingOptions(temperature=0), 200),
    ]
    # A frame is complete 8 columns behind its first code; frame 0 and the end hold no audio.
    assert [frames(generation) for generation in whole] == [END - 1] * 2
    assert {generation.finish_reason for generation in whole} == {"stop"}
    short = engine.submit(prompt, SamplingOptions(), 15)
    assert frames(short) == 15 - 8 and short.finish_reason == "length"
    assert engine.prefix_use.hits == 2 and engine.prefix_use.misses == 1
    engine.close()
    assert engine.failed is None
    assert sum(graph.replays for graph in FakeGraph.captured) >= END


@pytest.mark.parametrize("name", ["3b", "v3"])
def test_a_step_takes_few_launches(name: str, watch: Watch) -> None:
    model = random_model(replace(SHAPES[name], layers=4), DEVICE, BF16)
    with torch.inference_mode():
        cache = cache_for(model, 1, 1024)
        runner = model_runner_for(model.config, decode_fn_for(model, cache), cache)
        with Launches() as launches:
            runner._write_step(1, 1024)
        with Launches() as sampling:
            runner._columns.write(torch.zeros(1, 8, 1026, device=DEVICE))
    # Nine operations a layer, of which attention is two kernels for few streams; embedding, head and sampler.
    assert launches.count <= 9 * 4 + 15
    assert sampling.count == 3, "zeros, sample and append_column"


@pytest.mark.parametrize("name", ["small", "3b", "v3"])
def test_requests_that_come_at_once_are_read_together(
    name: str, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice that is kept, and sixteen texts of 80 positions, five blocks of a pass's sixteen each."""
    monkeypatch.setattr(StepOutput, "wait", written)
    engine = WatchedEngine(
        random_model(replace(SHAPES[name], layers=2), DEVICE, BF16), slots=17, capacity=1024
    )
    captured = engine._prefill._graphs._captured  # type: ignore[attr-defined]
    prompt = some_prompt(replace(engine._prefill._model.config, eos_code=1025))
    assert frames(engine.submit(prompt, SamplingOptions(), 15)) == 7
    before = sum(graph.replays for graph, _ in captured.values())
    wrong = replace(prompt, input_ids=prompt.input_ids + 10**6)
    with engine._changed:  # all are there before the engine looks
        generations = [
            engine.submit(each, SamplingOptions(), 15) for each in [*[prompt] * 8, wrong, *[prompt] * 8]
        ]
    with pytest.raises(ModelError, match="ids or codes"):
        list(generations.pop(8))
    assert [frames(generation) for generation in generations] == [7] * 16
    assert sum(graph.replays for graph, _ in captured.values()) - before == 5
    assert engine.prefix_use.hits == 16 and engine.failed is None
    engine.close()


@pytest.mark.parametrize("name", ["3b", "v3"])
def test_a_pass_is_one_upload_and_one_graph(name: str, watch: Watch) -> None:
    model = random_model(replace(SHAPES[name], layers=4), DEVICE, BF16)
    prompt = some_prompt(replace(model.config, eos_code=1025))
    with torch.inference_mode():
        reader = prefill_for(model, decode_fn_for(model, cache_for(model, 1, 1024)), 1024, 0)
        assert isinstance(reader, prefill.KernelPrefill)
        readings = [reader.begin(part) for part in (prompt, replace(prompt, prefix=10))]
        with Launches() as launches:
            reader.run_pass(readings)
        assert [reading.length for reading in readings] == [prompt.prefix, 10]
        assert launches.count == 1, "the copy to where the graph reads; the upload, `to`, isn't seen"
        with Launches() as launches:
            reader._read(128, prefill.TEXT)
    # Ten operations a layer; the embedding of what may be text or audio.
    assert launches.count <= 10 * 4 + 10


def test_kernels_that_compute_something_else_stay_unused(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(decode, "largest", lambda errors: float("nan"))
    model = model_named("small", DEVICE, BF16)
    with torch.inference_mode():
        cache = cache_for(model, 2, 1024)
        runner = model_runner_for(model.config, decode_fn_for(model, cache), cache)
    assert isinstance(runner._decode_fn, FusedDecode) and "stay unused" in caplog.text
    assert len(FakeGraph.captured) == len(runner._buckets.all()) == 2 * 5, "by batch size and length"


def test_a_graph_that_computes_something_else_is_dropped(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cuda_graphs, "share_equal", lambda result, expected: 0.5)
    graphs = Graphs(lambda rows: torch.zeros(rows, device=DEVICE))
    graphs.capture([(1,), (2,)], DEVICE)
    assert not graphs._captured and "dropped" in caplog.text
    # A workspace that the others use would go with it.
    assert graphs._made == FakeGraph.captured


def test_graphs_that_run_at_the_same_time_share_no_stream(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind: an H200 computed in one workspace of cuBLAS for the codec and the engine, and lost its memory."""
    streams: list[Any] = []
    graph: Any = torch.cuda.graph

    def noting_graph(made: FakeGraph, stream: Any, **more: Any) -> Any:
        streams.append(stream)
        return graph(made, stream=stream, **more)

    monkeypatch.setattr(torch.cuda, "graph", noting_graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: FakeStream(priority=-1))
    for _ in range(2):
        Graphs(lambda rows: torch.zeros(rows, device=DEVICE)).capture([(1,), (2,)], DEVICE)
    assert streams[0] is streams[1] and streams[2] is streams[3] and streams[0] is not streams[2]
    assert {stream.priority for stream in streams} == {-1}, "a graph's kernels keep that of their capture"


def test_what_has_no_graphs_is_eager(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Graphs, "parts", ("codec",))
    graphs = Graphs(lambda rows: torch.ones(rows, device=DEVICE))
    graphs.capture([(1,), (2,)], DEVICE)
    assert not FakeGraph.captured and graphs(2).shape == (2,)


def test_a_wait_within_a_capture_is_found(watch: Watch) -> None:
    """The watch itself: what it must raise on raises."""
    numbers = torch.zeros(4, device=DEVICE)
    for wrong in (
        lambda: numbers + numbers.sum().item(),
        lambda: numbers[numbers > 0],
        lambda: numbers + torch.ones(4),
        lambda: numbers.copy_(torch.ones(4)),
        lambda: numbers.cpu(),
    ):
        graphs = Graphs(lambda rows, wrong=wrong: wrong())  # type: ignore[misc]
        with pytest.raises((Forbidden, RuntimeError)), torch.inference_mode():
            watch.capturing = True
            try:
                graphs(1)
            finally:
                watch.capturing = False


def test_a_capture_that_fails_leaves_the_step_eager(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    numbers = torch.zeros(4, device=DEVICE)

    def step(rows: int) -> torch.Tensor:
        if rows == 2 and watch.capturing:
            raise RuntimeError("operation not permitted when stream is capturing")
        return numbers[:rows] + 1

    graphs = Graphs(step)
    graphs.capture([(1,), (2,), (4,)], DEVICE)
    assert list(graphs._captured) == [(4,)]
    assert "no CUDA graph" in caplog.text
    assert graphs(2).shape == (2,) and graphs(4).shape == (4,)


def test_what_the_benchmark_of_the_kernels_compares_is_computed(watch: Watch) -> None:
    for part in kernels.PARTS.values():
        for work in part(SHAPES["v3"], 3, 256).values():
            work()


@pytest.mark.parametrize("name", list(SHAPES))
def test_the_subjects_of_the_benchmark_are_made_on_the_gpu(watch: Watch, name: str) -> None:
    model = model_named(name, DEVICE, BF16)
    assert {part.device for part in model.state_dict().values()} == {DEVICE}
    assert model.model.rotary.inverse.device == DEVICE and model.model.rotary.inverse.dtype == torch.float32
    assert {weight.dtype for weight in model.parameters()} == {BF16}
    assert plan_memory(SHAPES[name], BF16, MEMORY, positions=1024).slots > 1
    assert model.config.opening_code in (-1, DelayRule(model.config, device=DEVICE).bos_code)
