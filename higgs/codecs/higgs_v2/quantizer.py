"""Residual vector quantisation (SoundStream: Zeghidour et al., 2021, arXiv 2107.03312, algorithm 1)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Codebook(nn.Module):
    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Parameter(torch.randn(size, dim))

    def nearest(self, x: torch.Tensor) -> torch.Tensor:
        """Index [B, T] of the entry nearest to x [B, T, dim].

        The square of the distance is summed as both published implementations sum it: at a near tie another
        order of the same sum would pick another code.
        """
        distance = x.pow(2).sum(-1, keepdim=True) - 2 * x @ self.embed.t() + self.embed.pow(2).sum(-1)
        return distance.argmin(-1)


class Quantizer(nn.Module):
    """One codebook, in a space of fewer dimensions than the features'."""

    def __init__(self, features: int, size: int, dim: int) -> None:
        super().__init__()
        self.codebook = Codebook(size, dim)
        self.project_in = nn.Linear(features, dim)
        self.project_out = nn.Linear(dim, features)

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, features] → [B, T]."""
        return self.codebook.nearest(self.project_in(features))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """[B, T] → [B, T, features]."""
        return self.project_out(F.embedding(codes, self.codebook.embed))


class ResidualQuantizer(nn.Module):
    """Each quantiser codes what the ones before it left over."""

    def __init__(self, count: int, features: int, size: int, dim: int) -> None:
        super().__init__()
        self.quantizers: Any = nn.ModuleList(Quantizer(features, size, dim) for _ in range(count))

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, features] → codes [B, count, T]."""
        codes = []
        for quantizer in self.quantizers:
            codes.append(quantizer.encode(features))
            features = features - quantizer.decode(codes[-1])
        return torch.stack(codes, dim=1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [B, count, T] → [B, T, features]."""
        total = torch.zeros((), device=codes.device)
        for index, quantizer in enumerate(self.quantizers):
            total = total + quantizer.decode(codes[:, index])
        return total
