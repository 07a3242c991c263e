"""What one step costs: milliseconds per column beside the time that its bytes take, by batch and length.

    python -m bench.step [--model FOLDER|small|small-v3|3b|v3] [--batch 1 8] [--length 256 1024] [--threads N]

A step reads the weights of the audio path once and the keys and values of every stream once; the floor is
these bytes at the speed of a large copy on the same device. Ends in one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import cast

import torch

from bench.subject import DEVICE, default_model, model_named
from higgs.cpu.cache import PanelCache
from higgs.cpu.decode import cache_for, decode_fn_for
from higgs.cpu.sampler import model_runner_for
from higgs.engine.kv_cache import KVCache, SlotCache
from higgs.engine.model_runner import ModelRunner
from higgs.engine.sampler import SamplingOptions
from higgs.model.transformer import HiggsModel, Layer

STEPS, REPEATS = 40, 5
COPIED = 2**28  # bytes


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """The median of some runs after one to warm up."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[REPEATS // 2]


def bytes_per_second(device: torch.device) -> float:
    """Bytes read and written by a large copy, per second."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * COPIED / seconds_of(lambda: target.copy_(source), device)


def bytes_of_weights(model: HiggsModel) -> int:
    """What a step reads whatever the batch: attention, the audio feed-forward and the audio head."""
    layers = [cast(Layer, layer) for layer in model.model.layers]
    parts = [part for layer in layers for part in (layer.self_attn, layer.audio_path.feed)]
    return sum(weight.nbytes for part in (*parts, model.audio_lm_head) for weight in part.parameters())


@torch.inference_mode()
def step_seconds(
    model: HiggsModel, decoder: ModelRunner, cache: SlotCache | PanelCache, batch: int, length: int
) -> float:
    weight = model.audio_lm_head.weight

    def start() -> None:
        made = KVCache(model.config, length, device=cache.device, dtype=weight.dtype)
        filled = torch.randn_like(made.data[:, 0])
        for row in range(batch):
            decoder.start(row, filled, SamplingOptions(), row, cache.capacity - length)

    def steps() -> None:
        for step in range(STEPS):
            decoder.step(batch, length + step + 1)

    start()
    return seconds_of(steps, cache.device) / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--length", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = model_named(arguments.model)
    capacity = max(arguments.length) + (REPEATS + 1) * STEPS + 1
    cache = cache_for(model, max(arguments.batch), capacity)
    decoder = model_runner_for(model.config, decode_fn_for(model, cache), cache)
    speed = bytes_per_second(torch.device(DEVICE))
    one_position = KVCache(model.config, 1, dtype=model.audio_lm_head.weight.dtype)
    halved = 2 if isinstance(cache, PanelCache) and cache.half else 1  # as CompiledDecode keeps both
    weights, per_position = bytes_of_weights(model) // halved, one_position.data.nbytes // halved
    print(f"{speed / 1e9:.1f} GB/s, weights {weights / 1e6:.1f} MB, {per_position} B per position")
    print(f"{'batch':>5} {'length':>6} {'ms':>8} {'floor':>8} {'columns/s':>10}")
    rows = []
    for batch in arguments.batch:
        for length in arguments.length:
            ms = 1000 * step_seconds(model, decoder, cache, batch, length)
            floor = 1000 * (weights + batch * length * per_position) / speed
            rows.append({"batch": batch, "length": length, "ms": round(ms, 3), "floor_ms": round(floor, 3)})
            print(f"{batch:5} {length:6} {ms:8.3f} {floor:8.3f} {1000 * batch / ms:10.1f}")
    print(json.dumps({"device": DEVICE, "threads": arguments.threads, "steps": rows}))


if __name__ == "__main__":
    main()
