"""The engine's parts one by one: the start, a prompt's chunk, memory, and whether all is right.

    python -m bench.parts [--model FOLDER|small|small-v3|3b|v3] [--slots 16]

Correctness comes first: graphs against eager steps, a stream alone and in company, and bfloat16's
distributions beside float32's (the mean KL divergence per code of a narrow model, on the CPU). Ends in one
line of JSON.
"""

import argparse
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch.profiler import profile

from bench.step import seconds_of
from bench.subject import DEVICE, SHAPES, default_model, model_named, options_named, random_model, some_prompt
from higgs.cpu.decode import cache_for, decode_fn_for, prefill_for
from higgs.cpu.sampler import model_runner_for
from higgs.cuda.decode import KernelDecode
from higgs.engine.engine import Engine
from higgs.engine.fused_decode import FusedDecode
from higgs.engine.kv_cache import KVCache
from higgs.engine.model_runner import DecodeFn, ModelRunner
from higgs.engine.prefill import PREFILL_CHUNK, Prefill
from higgs.engine.sampler import SamplingOptions
from higgs.model.transformer import HiggsModel

STEPS = 30
COLUMNS = 60
ROOM = 1024  # positions


def device_line() -> dict[str, str]:
    """Which device, driver and torch these figures are of."""
    line = {"torch": torch.__version__, "device": platform.processor() or "cpu"}
    if DEVICE == "cuda":
        line["device"] = torch.cuda.get_device_name()
    if DEVICE == "cuda" and shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True, check=False)
        line["driver"] = found.stdout.strip()
    return line


@torch.inference_mode()
def written(runner: ModelRunner, model: HiggsModel, options: SamplingOptions) -> list[list[list[int]]]:
    """The frames of STEPS steps of three streams behind the same random prompt."""
    weight = model.audio_lm_head.weight
    cache = KVCache(model.config, 40, device=weight.device, dtype=weight.dtype)
    generator = torch.Generator().manual_seed(0)
    cache.data.copy_(torch.randn(cache.data.shape, generator=generator))
    for row in range(3):
        runner.start(row, cache.data[:, 0], options, row, COLUMNS)
    return [runner.step(3, 41 + step).wait() for step in range(STEPS)]


def graph_equals_eager(runner: ModelRunner, model: HiggsModel, options: SamplingOptions) -> bool | None:
    """Whether both write the same; None where nothing is captured."""
    captured = runner._graphs._captured
    if not captured:
        return None
    by_graph = written(runner, model, options)
    runner._graphs._captured = {}
    eager = written(runner, model, options)
    runner._graphs._captured = captured
    return by_graph == eager


def equal_in_company(model: HiggsModel, options: SamplingOptions) -> float:
    """The share of codes that a stream writes in the company of three others as it does alone.

    Greedy, since random weights hold all codes for nearly as likely: what rounds otherwise would be drawn
    otherwise.
    """
    prompt, greedy = some_prompt(model.config), replace(options, temperature=0.0, ras_window=0)
    engine = Engine(model, slots=4, capacity=len(prompt) + COLUMNS)
    alone = torch.cat(list(engine.submit(prompt, greedy, COLUMNS)), dim=1)
    others = [engine.submit(prompt, replace(options, seed=seed), COLUMNS) for seed in range(3)]
    company = torch.cat(list(engine.submit(prompt, greedy, COLUMNS)), dim=1)
    for other in others:
        list(other)
    engine.close()
    return (alone == company).float().mean().item()


@torch.inference_mode()
def bfloat16_divergence() -> float:
    """The mean KL divergence per code of bfloat16's distributions from float32's, of the same weights."""
    config = SHAPES["small"]
    model = random_model(config, torch.device("cpu"), torch.float32)
    prompt = some_prompt(config)
    inputs = [part[None] for part in (prompt.input_ids, prompt.audio_columns, prompt.audio_mask)]
    positions = torch.arange(len(prompt))[None]

    def distributions() -> torch.Tensor:
        hidden = model(model.embed(*inputs), inputs[2], positions)
        return model.audio_logits(hidden).float().log_softmax(-1)

    exact = distributions()
    for weight in model.parameters():
        weight.data = weight.data.bfloat16()
    return (exact.exp() * (exact - distributions())).sum(-1).mean().item()


@torch.inference_mode()
def prefill_ms(prefill: Prefill, model: HiggsModel, prompts: int) -> float | None:
    """Of one pass over so many prompts, PREFILL_CHUNK positions in all; None where one is read at a time."""
    prompt, length = some_prompt(model.config), PREFILL_CHUNK // prompts
    part = replace(
        prompt,
        input_ids=prompt.input_ids[:length],
        audio_columns=prompt.audio_columns[:length],
        audio_mask=prompt.audio_mask[:length],
        prefix=0,
    )

    def read() -> None:
        readings = [prefill.begin(part) for _ in range(prompts)]
        prefill.run_pass(readings)
        for reading in readings:
            prefill.end(reading)

    first = prefill.begin(part)
    several = prefill.has_room(part)
    prefill.end(first)
    if prompts > 1 and not several:
        return None
    return 1000 * seconds_of(read, model.audio_lm_head.weight.device)


@torch.inference_mode()
def attention_backends(model: HiggsModel, prefill: Prefill, decode_fn: DecodeFn) -> dict[str, list[str]]:
    """Which of torch's implementations reading and the eager step take, by the names of its operations."""
    prompt = some_prompt(model.config)
    reading = prefill.begin(prompt)
    works: dict[str, Callable[[], object]] = {
        "prefill": lambda: prefill.run_pass([reading]),
        "prefill behind a prefix": lambda: prefill.run_pass([reading]),
    }
    eager = decode_fn.eager if isinstance(decode_fn, KernelDecode) else decode_fn
    if isinstance(eager, FusedDecode):
        columns = torch.zeros(2, model.config.num_codebooks, dtype=torch.int64, device=eager.rope.device)
        works["eager step"] = lambda: eager(columns, columns[:, 0] + 9, 64)
    found = {}
    for name, work in works.items():
        with profile() as seen:
            work()
        names = {event.key for event in seen.key_averages()}
        found[name] = sorted(name for name in names if name.startswith("aten::_scaled_dot_product"))
    prefill.end(reading)
    return found


def attempt(name: str, part: Callable[[], Any]) -> Any:
    """A part's figure, printed as it comes; None where it failed, so that the others are had."""
    try:
        found = part()
        print(f"{name}: {found}", flush=True)
        return found
    except Exception as error:
        print(f"{name} FAILED: {type(error).__name__}: {error}", flush=True)
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--slots", type=int, default=16)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"on": attempt("on", device_line)}
    found["bfloat16_kl"] = attempt("KL of bfloat16 per code", bfloat16_divergence)
    model, options = model_named(arguments.model), options_named(arguments.model)
    start = time.perf_counter()
    with torch.inference_mode():
        cache = cache_for(model, arguments.slots, ROOM)
        decode_fn = decode_fn_for(model, cache)
        runner = model_runner_for(model.config, decode_fn, cache)
        prefill = prefill_for(model, decode_fn, ROOM, kept_positions=0)
    found["capture_s"] = round(time.perf_counter() - start, 2)
    found["graphs"] = len(runner._graphs._captured)
    found["graph_equals_eager"] = attempt(
        "graph = eager", lambda: graph_equals_eager(runner, model, replace(options, seed=1))
    )
    found["decode"] = type(decode_fn).__name__
    found["sdpa"] = attempt("SDPA", lambda: attention_backends(model, prefill, decode_fn))
    found["prefill_ms"] = {
        str(prompts): attempt(
            f"ms of {PREFILL_CHUNK} positions of {prompts} prompts",
            lambda prompts=prompts: prefill_ms(prefill, model, prompts),  # type: ignore[misc]
        )
        for prompts in (1, 4)
    }
    found["equal_in_company"] = attempt("equal in company", lambda: equal_in_company(model, options))
    if DEVICE == "cuda":
        found["peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
