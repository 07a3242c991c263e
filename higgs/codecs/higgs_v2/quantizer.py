"""The published codec's residual quantiser, named as in its checkpoints."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from higgs.codecs.quantizer import nearest, residual_decode, residual_encode


class Codebook(nn.Module):
    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Parameter(torch.randn(size, dim))


class Quantizer(nn.Module):
    """A codebook in a space of fewer dimensions than the features'."""

    def __init__(self, features: int, size: int, dim: int) -> None:
        super().__init__()
        self.codebook = Codebook(size, dim)
        self.project_in = nn.Linear(features, dim)
        self.project_out = nn.Linear(dim, features)

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, features] → [B, T]."""
        return nearest(self.project_in(features), self.codebook.embed)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """[B, T] → [B, T, features]."""
        return self.project_out(F.embedding(codes, self.codebook.embed))


class ResidualQuantizer(nn.Module):
    """`count` quantisers, each of which codes the residual of the previous ones."""

    def __init__(self, count: int, features: int, size: int, dim: int) -> None:
        super().__init__()
        self.quantizers: Any = nn.ModuleList(Quantizer(features, size, dim) for _ in range(count))

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """[B, T, features] → codes [B, count, T]."""
        codes, _ = residual_encode(self.quantizers, features)
        return torch.stack(codes, dim=1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [B, count, T] → [B, T, features]."""
        return residual_decode(self.quantizers, codes.unbind(1))
