"""What `python -m bench.gpu` runs, on fake tensors: on a GPU its first try must be right.

Covers: tensors that meet on different devices, captures that touch the CPU, parts of a run that fail. The
peers ask the device for numbers in each step, so that only our side of that run is tried.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch

pytest.importorskip("triton")
from bench import codec, parts, peers, sound, step, subject
from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.engine.engine import Engine
from higgs.engine.model_runner import StepOutput
from higgs.model.delay import DelayRule
from higgs.model.transformer import HiggsModel
from tests.cuda_shapes.conftest import pass_all_checks
from tests.cuda_shapes.fake_cuda import DEVICE, Watch, fake_cuda, watched
from tests.tiny_codec import NATIVE

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="needs torch's CUDA build")
model_named = subject.model_named


def on_the_gpu(name: str) -> HiggsModel:
    return model_named(name, DEVICE, torch.bfloat16)


class WatchedEngine(Engine):
    """An engine whose thread sees the fake GPU, too."""

    def _serve(self) -> None:
        with watched(Watch(serving=True)):
            super()._serve()


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU that writes the same frame always, and models of two layers."""
    pass_all_checks(monkeypatch)
    frame = [7] * 8 + [DelayRule.OPEN]
    monkeypatch.setattr(StepOutput, "wait", lambda output: [frame] * len(output._written))
    for name, function in {
        "synchronize": lambda: None,
        "get_device_name": lambda: "a GPU that isn't there",
        "max_memory_allocated": lambda: 2 * 10**9,
    }.items():
        monkeypatch.setattr(torch.cuda, name, function)
    for name, shape in subject.SHAPES.items():
        monkeypatch.setitem(subject.SHAPES, name, replace(shape, layers=2))
    for module in (parts, peers, sound, step):
        monkeypatch.setattr(module, "DEVICE", "cuda")
        monkeypatch.setattr(module, "model_named", on_the_gpu)
    for module in (parts, peers, sound):
        monkeypatch.setattr(module, "Engine", WatchedEngine)
    with fake_cuda(monkeypatch):
        yield


Figures = tuple[dict[str, Any], str]
Runner = Callable[..., Figures]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    """Runs a benchmark; returns the last line that it prints, read, and all that it prints."""

    def run(module: ModuleType, *arguments: str) -> Figures:
        monkeypatch.setattr(sys, "argv", ["bench", "--model", "3b", *arguments])
        module.main()
        printed = capsys.readouterr().out
        return json.loads(printed.splitlines()[-1]), printed

    return run


def test_no_part_fails(figures: Runner) -> None:
    found, printed = figures(parts, "--slots", "4")
    assert "FAILED" not in printed and None not in found.values()
    assert found["on"]["device"] == "a GPU that isn't there" and found["decode"] == "KernelDecode"
    assert found["graphs"] == 3 and found["graph_equals_eager"] and found["peak_gb"] == 2.0
    assert found["equal_in_company"] == 1.0


def test_a_part_that_fails_leaves_the_others(figures: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    for name in ("equal_in_company", "bfloat16_divergence"):
        monkeypatch.setattr(parts, name, broken)
    found, printed = figures(parts, "--slots", "4")
    assert found["equal_in_company"] is found["bfloat16_kl"] is None
    assert found["graph_equals_eager"] and printed.count("FAILED") == 2


def test_steps_are_measured(figures: Runner) -> None:
    found, _ = figures(step, "--batch", "1", "2", "--length", "256")
    assert [(row["batch"], row["length"]) for row in found["steps"]] == [(1, 256), (2, 256)]


def test_sound_is_measured(figures: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a codec on the CPU: fake tensors are of one thread at a time."""
    monkeypatch.setattr(sound, "codec_of", lambda model: WaveformCodec.load(NATIVE))
    found, _ = figures(sound, "--streams", "1", "2", "--columns", "40")
    assert list(found["sound"]) == ["1", "2"]
    assert all(load["first_sound_p50_s"] > 0 for load in found["sound"].values())


def test_the_codec_is_measured(figures: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "all_buckets", lambda: [(12, 1), (44, 2)])
    monkeypatch.setattr(codec, "apart", lambda ours, exact: 0.0)
    found, _ = figures(codec)
    assert found["graphs"] == 17 and found["decoder"] == "KernelDacDecoder"
    for bucket in ("1x12", "2x44"):
        assert list(found[bucket]) == ["served", "graph", "eager", "torch", "audio_s_per_s"]


def test_our_side_of_the_peers_is_measured() -> None:
    model = on_the_gpu("3b")
    case = model, subject.some_prompt(model.config), subject.options_named("3b"), 20
    runs = {"ours": peers.our_run(*case, most=2), **peers.their_runs(*case)}
    assert list(runs) == ["ours", "transformers", "transformers_static"]
    assert peers.measure({"ours": runs["ours"]}, 2, 20, 1)["ours"]
