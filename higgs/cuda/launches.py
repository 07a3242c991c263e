"""Launch the Triton kernels, as torch operators that graphs, fake tensors and profilers know.

Nothing here waits for the device or depends on values of tensors, so that everything can be captured.
"""

import math

import torch
import triton

from higgs.cuda import kernels
from higgs.engine.prefill import PREFILL_BLOCK

BLOCK_BYTES = 128  # of each column of the keys that a program reads at once: 64 positions in bfloat16
PROGRAMS = 512  # that keep a large GPU busy: four on each of an H100's 132 processors
MAX_SPLITS = 32
MIN_DOT = 16  # rows of a matrix that tensor cores take


def num_splits(streams: int, kv_heads: int) -> int:
    """Return into how many parts each stream's positions are split, so that few streams keep the GPU busy."""
    wanted = triton.cdiv(PROGRAMS, streams * kv_heads)
    return min(MAX_SPLITS, triton.next_power_of_2(wanted))


@torch.library.custom_op("higgs::rope_and_write_kv", mutates_args=("qkv", "cache"))
def rope_and_write_kv(
    qkv: torch.Tensor,
    rope: torch.Tensor,
    norms: torch.Tensor | None,
    positions: torch.Tensor,
    firsts: torch.Tensor,
    cache: torch.Tensor,
    epsilon: float,
) -> None:
    """Apply norms and rope to each row's queries in place, and write its key and value to the KV cache.

    Args:
        qkv: [n, heads + 2 * kv_heads, D]; its keys and values stay as they are.
        rope: [capacity, 2, D], cosine and signed sine, as Rotary computes them.
        norms: [heads + kv_heads, D], the norms' weights; None for no norms.
        positions: [n], each within its own stream or prompt; -1 where there is none, and nothing is done.
        firsts: the places of position 0 among all of the cache, one for each n / len(firsts) rows.
        cache: [rows, capacity, 2, kv_heads, D], a layer of SlotCache.data or KVCache.data.
    """
    n, parts, size = qkv.shape
    kv_heads = cache.shape[3]
    kernels.rope_and_write_kv_kernel[(n, parts)](
        qkv,
        rope,
        qkv if norms is None else norms,
        positions,
        firsts,
        cache,
        epsilon,
        HEADS=parts - 2 * kv_heads,
        KV_HEADS=kv_heads,
        D=size,
        HALF=triton.next_power_of_2(size // 2),
        PER_FIRST=n // len(firsts),
        NORMED=norms is not None,
        num_warps=1,
    )


@rope_and_write_kv.register_fake
def _(
    qkv: torch.Tensor,
    rope: torch.Tensor,
    norms: torch.Tensor | None,
    positions: torch.Tensor,
    firsts: torch.Tensor,
    cache: torch.Tensor,
    epsilon: float,
) -> None:
    return None


@torch.library.custom_op("higgs::decode_attention", mutates_args=())
def decode_attention(qkv: torch.Tensor, cache: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Attend each stream's queries to its own positions, 0 to positions[i]; returns [n, heads * D].

    Args as of rope_and_write_kv, by which the queries were rotated and the newest keys and values written;
    stream i is row i of the cache.
    """
    n, parts, size = qkv.shape
    kv_heads = cache.shape[3]
    heads, splits = parts - 2 * kv_heads, num_splits(n, kv_heads)
    width = max(MIN_DOT, triton.next_power_of_2(size))
    out = _attended(qkv, cache)
    means = torch.empty(n, heads, splits, size if splits > 1 else 0, device=qkv.device)
    sums = torch.empty(n, heads, splits, device=qkv.device)
    kernels.decode_attention_kernel[(n, kv_heads, splits)](
        qkv,
        cache,
        positions,
        means,
        sums,
        out,
        cache.stride(0),
        size**-0.5 * math.log2(math.e),
        HEADS=heads,
        KV_HEADS=kv_heads,
        D=size,
        WIDTH=width,
        QUERIES=max(MIN_DOT, triton.next_power_of_2(heads // kv_heads)),
        BLOCK=BLOCK_BYTES // cache.itemsize,
        SPLITS=splits,
    )
    if splits > 1:
        kernels.combine_splits_kernel[(n * heads,)](means, sums, out, D=size, WIDTH=width, SPLITS=splits)
    return out


@decode_attention.register_fake
def _(qkv: torch.Tensor, cache: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    return _attended(qkv, cache)


def _attended(qkv: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
    """Return an empty [n, heads * D]."""
    n, parts, size = qkv.shape
    return qkv.new_empty(n, (parts - 2 * cache.shape[3]) * size)


@torch.library.custom_op("higgs::prefill_attention", mutates_args=())
def prefill_attention(
    qkv: torch.Tensor, cache: torch.Tensor, positions: torch.Tensor, firsts: torch.Tensor
) -> torch.Tensor:
    """Attend S queries of prompts, each to its own prompt's positions up to its own; returns [S, heads * D].

    Args:
        qkv: [S, heads + 2 * kv_heads, D], as rope_and_write_kv left it.
        cache: [1, capacity, 2, kv_heads, D].
        positions: [S], of one prompt in each PREFILL_BLOCK; what is returned for -1 is any number.
        firsts: [S / PREFILL_BLOCK], the places of the prompts' first positions in the cache.
    """
    count, parts, size = qkv.shape
    kv_heads = cache.shape[3]
    heads, out = parts - 2 * kv_heads, _attended(qkv, cache)
    kernels.prefill_attention_kernel[(count // PREFILL_BLOCK, kv_heads)](
        qkv,
        cache,
        positions,
        firsts,
        out,
        size**-0.5 * math.log2(math.e),
        HEADS=heads,
        KV_HEADS=kv_heads,
        D=size,
        WIDTH=max(MIN_DOT, triton.next_power_of_2(size)),
        ROWS=PREFILL_BLOCK,
        GROUPS=triton.next_power_of_2(heads // kv_heads),
        BLOCK=BLOCK_BYTES // cache.itemsize,
    )
    return out


@prefill_attention.register_fake
def _(qkv: torch.Tensor, cache: torch.Tensor, positions: torch.Tensor, firsts: torch.Tensor) -> torch.Tensor:
    return _attended(qkv, cache)


@torch.library.custom_op("higgs::rms_norm", mutates_args=())
def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Compute torch's rms_norm of x [n, H] over H, whose own kernel takes twice as long for few rows."""
    out = torch.empty_like(x)
    width = x.shape[1]
    kernels.rms_norm_kernel[(len(x),)](
        x, weight, out, epsilon, WIDTH=width, BLOCK=triton.next_power_of_2(width), num_warps=8
    )
    return out


@rms_norm.register_fake
def _(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("higgs::swiglu", mutates_args=())
def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """Compute silu(gate) * up of [n, 2 * F], the gate first; returns [n, F]."""
    n, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = gate_up.new_empty(n, width)
    block = 1024
    kernels.swiglu_kernel[(n, triton.cdiv(width, block))](gate_up, out, width, BLOCK=block)
    return out


@swiglu.register_fake
def _(gate_up: torch.Tensor) -> torch.Tensor:
    return gate_up.new_empty(gate_up.shape[0], gate_up.shape[1] // 2)


def quantised_matmul(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, residual: torch.Tensor | None
) -> torch.Tensor:
    """Launch the kernel of higgs.model.quantised.quantised_matmul."""
    x = x.contiguous()
    rows, (columns, inner) = len(x), weight.shape
    out = torch.empty(rows, columns, device=x.device, dtype=x.dtype)
    block_rows = min(64, max(MIN_DOT, triton.next_power_of_2(rows)))
    # Few rows are bound by the bytes of the weight: many programs, each with much of it under way.
    few = rows <= MIN_DOT
    block_columns, block_inner = (32, 256) if few else (64, 128)
    kernels.quantised_matmul_kernel[(triton.cdiv(columns, block_columns), triton.cdiv(rows, block_rows))](
        x,
        weight,
        scale,
        out if residual is None else residual.contiguous(),
        out,
        rows,
        N=columns,
        K=inner,
        BLOCK_M=block_rows,
        BLOCK_N=block_columns,
        BLOCK_K=block_inner,
        ADDED=residual is not None,
        num_stages=4,
    )
    return out
