"""Snake with the additions before it, in one Triton kernel; as launches.py, a torch operator."""

import torch
import triton
import triton.language as tl

BLOCK = 1024


@triton.jit
def add_and_snake_kernel(  # type: ignore[no-untyped-def]
    x,  # [B, C, L]
    bias,  # [C]
    residual,  # [B, C, L]
    alpha,  # [C]
    out,  # [B, C, L]
    count,  # B * C * L
    channels,
    length,
    ADDED: tl.constexpr,
    KEPT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    channel = place // length % channels
    total = tl.load(x + place, inside, 0.0) + tl.load(bias + channel, inside, 0.0)
    if ADDED:
        total += tl.load(residual + place, inside, 0.0)
    if KEPT:
        tl.store(x + place, total, inside)
    slope = tl.load(alpha + channel, inside, 1.0)
    wave = tl.sin(slope * total)
    tl.store(out + place, total + wave * wave / (slope + 1e-9), inside)


@torch.library.custom_op("higgs::add_and_snake", mutates_args=("x",))
def add_and_snake(
    x: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor | None, alpha: torch.Tensor, keep: bool
) -> torch.Tensor:
    """Return snake(x + bias + residual) [B, C, L], float32; the sum replaces x if it is to be kept.

    Args:
        x, residual: [B, C, L], contiguous; no residual: None.
        bias: [C].
        alpha: [1, C, 1], of Snake.
        keep: whether x becomes the sum.
    """
    out = torch.empty_like(x)
    add_and_snake_kernel[(triton.cdiv(x.numel(), BLOCK),)](
        x,
        bias,
        x if residual is None else residual,
        alpha,
        out,
        x.numel(),
        x.shape[1],
        x.shape[2],
        ADDED=residual is not None,
        KEPT=keep,
        BLOCK=BLOCK,
    )
    return out


@add_and_snake.register_fake
def _(
    x: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor | None, alpha: torch.Tensor, keep: bool
) -> torch.Tensor:
    return torch.empty_like(x)
