"""The kernels of a step on a GPU beside torch's operations for the same: microseconds, by streams.

    python -m bench.kernels [--model 3b|v3] [--streams 1 16 64] [--length 1024]

One layer's attention (each stream's own positions against a mask over the longest, where streams have from
one to --length of them), turning and storing, norms, SwiGLU, and its largest product in bfloat16, int8 and
fp8; and what follows a step's logits, with the published sampling. Each is one captured graph of many calls,
so that launches cost what they cost while serving. Needs a GPU. Ends in one line of JSON.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from bench.step import seconds_of
from bench.subject import SHAPES
from higgs.cuda import launches
from higgs.cuda.sampler import KernelColumnWriter
from higgs.engine.column_writer import ColumnWriter
from higgs.engine.sampler import SamplingOptions
from higgs.model.config import HiggsConfig
from higgs.model.quantised import KINDS, quantise, quantised_matmul
from higgs.model.transformer import rotate

CALLS = 50
DEVICE, DTYPE = torch.device("cuda", 0), torch.bfloat16


def microseconds(work: Callable[[], object]) -> float:
    """Of one of CALLS calls in a graph."""
    work()  # what is compiled at the first call
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        for _ in range(CALLS):
            work()
    return round(1e6 * seconds_of(graph.replay, DEVICE) / CALLS, 2)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, device=DEVICE, dtype=DTYPE)


def attention(config: HiggsConfig, streams: int, length: int) -> dict[str, Callable[[], object]]:
    heads, kv_heads, size = config.heads, config.kv_heads, config.head_dim
    qkv, cache = random(streams, heads + 2 * kv_heads, size), random(streams, length, 2, kv_heads, size)
    positions = torch.linspace(length - 1, 0, streams, device=DEVICE).to(torch.int64)
    beyond = torch.arange(length, device=DEVICE) > positions[:, None]
    mask = torch.zeros(beyond.shape, device=DEVICE, dtype=DTYPE).masked_fill_(beyond, -torch.inf)
    keys, values = cache.permute(2, 0, 3, 1, 4).unbind()
    queries = qkv[:, :heads].reshape(streams, kv_heads, -1, size)
    return {
        "kernel": lambda: launches.decode_attention(qkv, cache, positions),
        "torch": lambda: F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask[:, None, None]),
    }


def turning(config: HiggsConfig, streams: int, length: int) -> dict[str, Callable[[], object]]:
    heads, kv_heads, size = config.heads, config.kv_heads, config.head_dim
    qkv, cache = random(streams, heads + 2 * kv_heads, size), random(streams, length, 2, kv_heads, size)
    rope = random(length, 2, size)
    norms = random(heads + kv_heads, size) if config.qk_norm else None
    positions = torch.arange(streams, device=DEVICE)
    firsts = torch.arange(streams, device=DEVICE) * length
    flat, places = cache.flatten(2).flatten(0, 1), positions + firsts

    def by_torch() -> None:
        turning = qkv[:, : heads + kv_heads]
        normed = turning if norms is None else F.rms_norm(turning, (size,), None, 1e-5) * norms
        turning.copy_(rotate(normed, *rope[positions].split(1, dim=1)))
        flat.index_copy_(0, places, qkv[:, heads:].flatten(1))

    return {
        "kernel": lambda: launches.rope_and_write_kv(qkv, rope, norms, positions, firsts, cache, 1e-5),
        "torch": by_torch,
    }


def norm(config: HiggsConfig, streams: int, length: int) -> dict[str, Callable[[], object]]:
    x, weight = random(streams, config.hidden_size), random(config.hidden_size)
    epsilon = config.rms_norm_eps
    return {
        "kernel": lambda: launches.rms_norm(x, weight, epsilon),
        "torch": lambda: F.rms_norm(x, weight.shape, weight, epsilon),
    }


def feeding(config: HiggsConfig, streams: int, length: int) -> dict[str, Callable[[], object]]:
    gate_up = random(streams, 2 * config.intermediate_size)

    def by_torch() -> torch.Tensor:
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    return {"kernel": lambda: launches.swiglu(gate_up), "torch": by_torch}


def product(config: HiggsConfig, streams: int, length: int) -> dict[str, Callable[[], object]]:
    """Of gate and up; two layers' weights in turn, so that they don't stay in the cache."""
    x = random(streams, config.hidden_size)
    weights = [random(2 * config.intermediate_size, config.hidden_size) for _ in range(2)]
    transposed = [weight.T.contiguous() for weight in weights]
    found: dict[str, Callable[[], object]] = {"torch": lambda: [x @ weight for weight in transposed]}
    for name, kind in KINDS.items():
        if torch.cuda.get_device_capability(DEVICE) >= kind.capability:
            matrices = [quantise(weight, kind) for weight in weights]
            found[name] = lambda matrices=matrices: [  # type: ignore[misc]
                quantised_matmul(x, *matrix, None) for matrix in matrices
            ]
    return found


def sampling(config: HiggsConfig, streams: int, length: int) -> dict[str, Callable[[], object]]:
    logits = random(streams, config.num_codebooks, config.codebook_size).float()
    works: dict[str, Callable[[], object]] = {}
    for name, kind in (("kernel", KernelColumnWriter), ("torch", ColumnWriter)):
        writer = kind(config, streams, length, DEVICE)
        for row in range(streams):
            writer.start(row, 0, SamplingOptions(), row, length, 0)
        works[name] = partial(writer.write, logits)
    return works


PARTS = {
    "attention": attention,
    "turn and store": turning,
    "rms_norm": norm,
    "swiglu": feeding,
    "two products": product,
    "sampling": sampling,
}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="3b", choices=list(SHAPES))
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--length", type=int, default=1024)
    arguments = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for part, works_of in PARTS.items():
        for streams in arguments.streams:
            works = works_of(SHAPES[arguments.model], streams, arguments.length)
            times = {name: microseconds(work) for name, work in works.items()}
            found.setdefault(part, {})[str(streams)] = times
            print(f"{part}, {streams} streams: {times}", flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
