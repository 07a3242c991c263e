"""Weights in the form in which a step multiplies by them.

Each is made of a weight [out, in] and called with x [n, in]. On a CPU the result of a row doesn't depend, to
the bit, on how many others stand beside it, if there are `fewest_rows` at least.
"""

from typing import ClassVar, Protocol

import torch


class Matrix(Protocol):
    fewest_rows: ClassVar[int]

    def __init__(self, weight: torch.Tensor) -> None: ...

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


class Plain:
    """The weight as it is. It stands as [in, out], for which MKL adds up the products of every row in the
    same order from two rows on; a single one is summed otherwise."""

    fewest_rows: ClassVar[int] = 2

    def __init__(self, weight: torch.Tensor) -> None:
        self._weight = weight.T.contiguous()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self._weight


class EightBit:
    """The weight in 8 bits, with one scale per output, times x in bfloat16: a quarter of the bytes."""

    fewest_rows: ClassVar[int] = 1

    def __init__(self, weight: torch.Tensor) -> None:
        scale = weight.float().abs().amax(1).clamp(min=1e-12) / 127
        self._weight = (weight.float() / scale[:, None]).round().to(torch.int8)
        self._scale = scale.to(torch.bfloat16)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch._weight_int8pack_mm(x.to(torch.bfloat16), self._weight, self._scale).to(x.dtype)
