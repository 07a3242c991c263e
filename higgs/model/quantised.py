"""Matrices of 8 bits: each output channel's numbers as int8 or float8, beside one scale of the channel.

Half the bytes of bfloat16, and so about half the time of a step that is bound by them. What multiplies reads
the 8 bits and computes in the type of its input; the embeddings, the norms and the head stay as they are.
"""

from typing import NamedTuple

import torch
from torch import nn

from errors import StartError


class Kind(NamedTuple):
    """A type of 8 bits, its largest number, and the least compute capability of a GPU that reads it."""

    dtype: torch.dtype
    largest: float
    capability: tuple[int, int]


KINDS = {"int8": Kind(torch.int8, 127.0, (8, 0)), "fp8": Kind(torch.float8_e4m3fn, 448.0, (8, 9))}


class QuantisedMatrix(NamedTuple):
    """weight [out, in] of 8 bits, scale [out] float32."""

    weight: torch.Tensor
    scale: torch.Tensor


Matrix = torch.Tensor | QuantisedMatrix  # a plain one is [in, out]


def quantise(weight: torch.Tensor, kind: Kind) -> QuantisedMatrix:
    """The nearest numbers of 8 bits to a weight [out, in], each channel scaled by its largest number."""
    exact = weight.float()
    scale = exact.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / kind.largest
    scaled = (exact / scale[:, None]).clamp(-kind.largest, kind.largest)
    return QuantisedMatrix((scaled.round() if kind.dtype == torch.int8 else scaled).to(kind.dtype), scale)


@torch.library.custom_op("higgs::multiply_quantised", mutates_args=())
def multiply_quantised(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, residual: torch.Tensor | None
) -> torch.Tensor:
    """x [n, in] by a QuantisedMatrix, and the residual [n, out] added: [n, out]. On a GPU it is a kernel."""
    product = (x.float() @ weight.float().T) * scale
    return (product if residual is None else product + residual).to(x.dtype)


@multiply_quantised.register_kernel("cuda")
def _(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, residual: torch.Tensor | None
) -> torch.Tensor:
    from higgs.cuda.launches import dequantised_matmul  # needs Triton

    return dequantised_matmul(x, weight, scale, residual)


@multiply_quantised.register_fake
def _(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, residual: torch.Tensor | None
) -> torch.Tensor:
    return x.new_empty(len(x), len(weight))


def multiply(x: torch.Tensor, matrix: Matrix) -> torch.Tensor:
    """x [n, in] by a matrix: [n, out]."""
    return x @ matrix if isinstance(matrix, torch.Tensor) else multiply_quantised(x, *matrix, None)


def multiply_add(x: torch.Tensor, y: torch.Tensor, matrix: Matrix) -> torch.Tensor:
    """x [n, out] + y [n, in] by a matrix; x may be overwritten."""
    return x.addmm_(y, matrix) if isinstance(matrix, torch.Tensor) else multiply_quantised(y, *matrix, x)


class QuantisedLinear(nn.Module):
    """An nn.Linear without bias, with the weight of a QuantisedMatrix."""

    def __init__(self, matrix: QuantisedMatrix) -> None:
        super().__init__()
        self.out_features = len(matrix.weight)
        self.weight, self.scale = (nn.Parameter(part, requires_grad=False) for part in matrix)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return multiply_quantised(x.flatten(0, -2), self.weight, self.scale, None).unflatten(0, x.shape[:-1])


def quantise_linears(module: nn.Module, kind: Kind) -> None:
    """Put a QuantisedLinear in the place of each nn.Linear below a module, on whatever device."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, QuantisedLinear(quantise(child.weight.detach(), kind)))
        else:
            quantise_linears(child, kind)


def check_weights(weights: str, device: torch.device) -> None:
    """StartError if a device can't compute with weights of a kind of KINDS, or isn't known to be right."""
    if weights not in KINDS:
        return
    if device.type != "cuda":
        raise StartError(f"HIGGS_WEIGHTS={weights} needs a CUDA device; on a CPU leave it at bf16.")
    needed, found = KINDS[weights].capability, torch.cuda.get_device_capability(device)
    if found < needed:
        raise StartError(
            f"HIGGS_WEIGHTS={weights} needs a GPU of compute capability {needed[0]}.{needed[1]} or newer; "
            f"this one has {found[0]}.{found[1]}. Set it to {'int8 or bf16' if found >= (8, 0) else 'bf16'}."
        )
    try:
        with torch.cuda.device(device):  # Triton launches there
            error = product_error(KINDS[weights], device)
    except Exception as failure:  # of a compiler, a driver or a package that isn't there: whatever it raises
        raise StartError(
            f"HIGGS_WEIGHTS={weights} needs a kernel that can't be compiled here ({failure}). Install gcc "
            "and Python's headers, or set HIGGS_WEIGHTS=bf16."
        ) from failure
    if not error < 0.02:
        raise StartError(
            f"HIGGS_WEIGHTS={weights} is computed wrongly on this GPU ({error:.3f}); set it to bf16."
        )


def product_error(kind: Kind, device: torch.device) -> float:
    """How far a product on the device is from the CPU's, relative to this."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(rows, 256, generator=generator) for rows in (3, 96))
    matrix = quantise(weight, kind)
    exact = multiply_quantised(x, *matrix, None)
    found = multiply_quantised(x.to(device), *(part.to(device) for part in matrix), None)
    return ((found.cpu() - exact).norm() / exact.norm()).item()
