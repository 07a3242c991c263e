"""Memory plan of a GPU, computed before the weights are downloaded.

It covers everything: weights, keys and values of streams, prefill and prefix cache, CUDA graphs, the codec
and its activations, and the libraries' workspaces.
"""

from dataclasses import dataclass
from functools import cache

import torch

from audio.frames import HOP
from errors import DoesNotFit
from higgs.codecs.higgs_v2.buckets import MAX_BATCH, all_buckets
from higgs.model.config import HiggsConfig
from higgs.model.quantised import KINDS, Kind, quantise_linears
from higgs.model.transformer import HiggsModel
from higgs.model.weights import Uninitialised

CPU_SLOTS = 8
MAX_SLOTS = 64
ENOUGH_SLOTS = 4  # if neither is configured, reduce positions rather than have fewer slots
SMALLER_POSITIONS = (4096, 2048, 1024)
MIN_PREFIX = 1024  # positions: a voice of 30 s
MIN_PROMPTS = 1280  # positions of the prompts that are read together: four with a voice of 5 s, one with 30 s

CODEC_WEIGHTS = 810_000_000  # float32
# One recording of 30 s at a time: five activations of the first block, 64 channels at the full rate.
CODEC_WORK = 5 * 4 * 24_000 * 30 * 64
GRAPH = 8 * 2**20  # bytes of one CUDA graph of a step, or of the codec's decoding
# All graphs of decoding share the activations of the largest: six of the last block, 32 channels at the full
# rate, of which two are for cuDNN's own layout.
CODEC_GRAPHS = len(all_buckets()) * GRAPH + 6 * 4 * MAX_BATCH * HOP * 32
CODEC = CODEC_WEIGHTS + CODEC_WORK + CODEC_GRAPHS
PROMPT_GRAPHS = 160 * 2**20  # the graphs that read prompts, and the activations of their largest
LIBRARIES = 700 * 2**20  # kernels that are loaded when first used, workspaces of cuBLAS and cuDNN
FRAGMENTS = 0.02  # of all: what the allocator can't use


@dataclass(frozen=True)
class MemoryPlan:
    """What memory is reserved for.

    Attributes:
        slots: concurrent streams.
        positions: per stream, prompt and speech together.
        prefix_positions: of the prefix cache.
        parts: bytes by consumer; empty on a CPU.
    """

    slots: int
    positions: int
    prefix_positions: int
    parts: dict[str, int]

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {gigabytes(count)}" for name, count in self.parts.items())
        return f"{self.slots} slots of {self.positions} positions: {parts}"


def plan_memory(
    config: HiggsConfig,
    dtype: torch.dtype,
    free: int | None,
    *,
    slots: int | None = None,
    positions: int,
    exact_positions: bool = False,
    codec: bool = True,
    kind: Kind | None = None,
) -> MemoryPlan:
    """Plan the memory of a device.

    Args:
        dtype: Of the weights, and of keys and values.
        kind: Of the layers' matrices where they are quantised.
        free: Bytes that are free there before the model is loaded; None: no bound (a CPU).
        slots: Streams wanted; None: as many as fit, up to MAX_SLOTS.
        positions: Wanted; fewer where they would leave fewer than ENOUGH_SLOTS, unless they are exact.
        codec: Whether the codec is on the device, too.

    Raises:
        DoesNotFit: With the numbers and a remedy.
    """
    if free is None:
        return MemoryPlan(slots or CPU_SLOTS, positions, 2 * positions, {})
    smaller = [] if exact_positions else [fewer for fewer in SMALLER_POSITIONS if fewer < positions]

    def fitting_with(weights: int) -> list[MemoryPlan]:
        plans = [_fit(config, dtype, free, weights, slots, count, codec) for count in (positions, *smaller)]
        return [plan for plan in plans if plan is not None]

    weights = weight_bytes(config, dtype, kind)
    if not (fitting := fitting_with(weights)):
        quantised = kind is None and fitting_with(weight_bytes(config, dtype, KINDS["int8"]))
        hint = " or HIGGS_WEIGHTS=int8, with which it fits" if quantised else ""
        raise DoesNotFit(_message(config, dtype, free, weights, slots, positions, codec) + f"{hint}.")
    enough = [plan for plan in fitting if slots is not None or plan.slots >= ENOUGH_SLOTS]
    return enough[0] if enough else max(fitting, key=lambda plan: plan.slots)


@cache
def weight_bytes(config: HiggsConfig, dtype: torch.dtype, kind: Kind | None = None) -> int:
    """Of the language model; the tied head counts once. kind: as of plan_memory."""
    with torch.device("meta"), Uninitialised():
        model = HiggsModel(config).to(dtype)
        if kind is not None:
            quantise_linears(model.model.layers, kind)
    return sum(weight.nbytes for weight in model.parameters())


def prompt_positions(positions: int) -> int:
    """Return the positions of the cache that prompts are read into; the longest prompt takes `positions`."""
    return max(positions, MIN_PROMPTS)


def position_bytes(config: HiggsConfig, dtype: torch.dtype) -> int:
    """Return the bytes of keys and values of one position in all layers."""
    return config.layers * 2 * config.kv_heads * config.head_dim * dtype.itemsize


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


def _fit(
    config: HiggsConfig,
    dtype: torch.dtype,
    free: int,
    weights: int,
    slots: int | None,
    positions: int,
    codec: bool,
) -> MemoryPlan | None:
    """Return the plan for this many positions; None if it doesn't fit."""
    fixed = {"weights": weights, "libraries": LIBRARIES + int(FRAGMENTS * free)}
    if codec:
        fixed["codec"] = CODEC
    one = position_bytes(config, dtype)
    slot, prompts = positions * (one + _sampler_bytes(config)), prompt_positions(positions) * one
    rest = free - sum(fixed.values()) - prompts
    if slots is None:
        room = rest - _graphs(MAX_SLOTS) - 2 * positions * one
        slots = max(1, min(MAX_SLOTS, room // slot))
    graphs = _graphs(slots)
    prefix = min(2 * positions, (rest - graphs - slots * slot) // one)
    if prefix < min(MIN_PREFIX, positions):
        return None
    parts = {"slots": slots * slot, "prompts": prompts, "voices": prefix * one, "graphs": graphs}
    return MemoryPlan(slots, positions, prefix, fixed | parts)


def _sampler_bytes(config: HiggsConfig) -> int:
    """Return the bytes of a stream's random numbers per column: two float32 per codebook."""
    return 2 * config.num_codebooks * 4


def _graphs(slots: int) -> int:
    """Return the bytes of all graphs; a step has one for each power of two of rows."""
    return PROMPT_GRAPHS + GRAPH * (1 + (slots - 1).bit_length())


def _message(
    config: HiggsConfig,
    dtype: torch.dtype,
    free: int,
    weights: int,
    slots: int | None,
    positions: int,
    codec: bool,
) -> str:
    least = weights + LIBRARIES + FRAGMENTS * free + _graphs(slots or 1)
    least += CODEC if codec else 0
    fewest = SMALLER_POSITIONS[-1]
    of_kv = (fewest + prompt_positions(fewest) + MIN_PREFIX) * position_bytes(config, dtype)
    return (
        f"The model does not fit: {gigabytes(free)} of the device are free, but its weights take "
        f"{gigabytes(weights)}, with codec and workspaces {gigabytes(least)}, and {slots or 1} x {positions} "
        f"positions {gigabytes((slots or 1) * positions * position_bytes(config, dtype))}; the least that "
        f"works is {gigabytes(least + of_kv)}. Free memory, lower HIGGS_MAX_POSITIONS or HIGGS_SLOTS, or set "
        "HIGGS_MODEL=bundled"
    )
