"""Weight-only quantisation: matrices as int8 or float8 with one scale per output channel.

A memory-bound step reads half the bytes of bfloat16. Products are computed in the dtype of their input. The
embeddings, the norms and the head aren't quantised.
"""

from typing import NamedTuple

import torch
from torch import nn

from errors import StartError


class Kind(NamedTuple):
    """An 8-bit dtype, its largest value, and the compute capability that its kernel needs."""

    dtype: torch.dtype
    largest: float
    capability: tuple[int, int]


KINDS = {"int8": Kind(torch.int8, 127.0, (8, 0)), "fp8": Kind(torch.float8_e4m3fn, 448.0, (8, 9))}


class QuantisedMatrix(NamedTuple):
    """weight [out, in], 8 bits; scale [out], float32."""

    weight: torch.Tensor
    scale: torch.Tensor


Matrix = torch.Tensor | QuantisedMatrix  # a plain one is [in, out]


def quantise(weight: torch.Tensor, kind: Kind) -> QuantisedMatrix:
    """Quantise a weight [out, in], each channel scaled by its largest value."""
    exact = weight.float()
    scale = exact.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / kind.largest
    scaled = (exact / scale[:, None]).clamp(-kind.largest, kind.largest)
    return QuantisedMatrix((scaled.round() if kind.dtype == torch.int8 else scaled).to(kind.dtype), scale)


@torch.library.custom_op("higgs::quantised_matmul", mutates_args=())
def quantised_matmul(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, residual: torch.Tensor | None
) -> torch.Tensor:
    """Multiply x [n, in] by a QuantisedMatrix and add the residual [n, out]; a Triton kernel on a GPU."""
    product = (x.float() @ weight.float().T) * scale
    return (product if residual is None else product + residual).to(x.dtype)


@quantised_matmul.register_kernel("cuda")
def _(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, residual: torch.Tensor | None
) -> torch.Tensor:
    from higgs.cuda.launches import quantised_matmul  # needs Triton

    return quantised_matmul(x, weight, scale, residual)


@quantised_matmul.register_fake
def _(
    x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, residual: torch.Tensor | None
) -> torch.Tensor:
    return x.new_empty(len(x), len(weight))


def matmul(x: torch.Tensor, matrix: Matrix) -> torch.Tensor:
    """Multiply x [n, in] by a matrix; returns [n, out]."""
    return x @ matrix if isinstance(matrix, torch.Tensor) else quantised_matmul(x, *matrix, None)


def addmm(x: torch.Tensor, y: torch.Tensor, matrix: Matrix) -> torch.Tensor:
    """Compute x [n, out] + y [n, in] @ matrix; x may be overwritten."""
    return x.addmm_(y, matrix) if isinstance(matrix, torch.Tensor) else quantised_matmul(y, *matrix, x)


class QuantisedLinear(nn.Module):
    """nn.Linear without bias, of a QuantisedMatrix."""

    def __init__(self, matrix: QuantisedMatrix) -> None:
        super().__init__()
        self.out_features = len(matrix.weight)
        self.weight, self.scale = (nn.Parameter(part, requires_grad=False) for part in matrix)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return quantised_matmul(x.flatten(0, -2), self.weight, self.scale, None).unflatten(0, x.shape[:-1])


def quantise_linears(module: nn.Module, kind: Kind) -> None:
    """Replace each nn.Linear of a module by a QuantisedLinear, on any device, meta included."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, QuantisedLinear(quantise(child.weight.detach(), kind)))
        else:
            quantise_linears(child, kind)


def check_weights(weights: str, device: torch.device) -> None:
    """Check that a device computes with HIGGS_WEIGHTS, one of KINDS or bf16, and computes right.

    Raises:
        StartError: It can't, with a remedy.
    """
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
    except Exception as failure:  # whatever a missing package, a compiler or a driver raises
        raise StartError(
            f"HIGGS_WEIGHTS={weights} needs a kernel that can't be compiled here ({failure}). Install gcc "
            "and Python's headers, or set HIGGS_WEIGHTS=bf16."
        ) from failure
    if not error < 0.02:
        raise StartError(
            f"HIGGS_WEIGHTS={weights} gives wrong results on this GPU (error {error:.3f}). Set it to bf16."
        )


def product_error(kind: Kind, device: torch.device) -> float:
    """Return the relative error of a product on the device against the CPU's."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(rows, 256, generator=generator) for rows in (3, 96))
    matrix = quantise(weight, kind)
    exact = quantised_matmul(x, *matrix, None)
    found = quantised_matmul(x.to(device), *(part.to(device) for part in matrix), None)
    return ((found.cpu() - exact).norm() / exact.norm()).item()
