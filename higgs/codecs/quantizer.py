"""Residual vector quantisation (SoundStream: Zeghidour et al., 2021, arXiv 2107.03312, algorithm 1).

Both codecs quantise with these functions. Their modules differ only as their checkpoints' layouts do.
"""

from collections.abc import Iterable
from typing import Protocol

import torch


class Quantizer(Protocol):
    """One codebook: rows (..., D) ↔ codes (...)."""

    def encode(self, rows: torch.Tensor) -> torch.Tensor: ...

    def decode(self, codes: torch.Tensor) -> torch.Tensor: ...


def nearest(rows: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return the index (...) of the vector (N, D) nearest to each row (..., D).

    The squared distance is summed as both published implementations do: another order of summation would
    choose another code at a near tie.
    """
    distance = rows.pow(2).sum(-1, keepdim=True) - 2 * rows @ vectors.t() + vectors.pow(2).sum(-1)
    return distance.argmin(-1)


def residual_encode(
    quantizers: Iterable[Quantizer], rows: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Quantise rows (..., D); each quantiser codes the residual of the previous ones.

    Returns:
        The codes (...) of each quantiser, and the sum (..., D) that they decode to.
    """
    codes: list[torch.Tensor] = []
    residual, total = rows, torch.zeros_like(rows)
    for quantizer in quantizers:
        codes.append(quantizer.encode(residual))
        decoded = quantizer.decode(codes[-1])
        residual, total = residual - decoded, total + decoded
    return codes, total


def residual_decode(quantizers: Iterable[Quantizer], codes: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the sum (..., D) of what the codes (...) of each quantiser stand for."""
    parts = [quantizer.decode(row) for quantizer, row in zip(quantizers, codes, strict=True)]
    return sum(parts[1:], parts[0])
