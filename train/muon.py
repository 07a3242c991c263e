"""Muon: momentum whose matrices are made orthogonal before they move the weights.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024. Matrices of one shape are
handled as one stack, because a small model's matrices are too small to keep a CPU busy one by one.
"""

from collections.abc import Sequence

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


def orthogonal(stack: torch.Tensor) -> torch.Tensor:
    """The nearest matrices of singular values around 1 to a stack (N, A, B), by Newton-Schulz rounds in
    bfloat16."""
    a, b, c = COEFFICIENTS
    x = stack.bfloat16()
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).bfloat16()
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.float()


class Muon(torch.optim.Optimizer):
    """For matrices wider than tall or taller than wide; steps are scaled to the size of AdamW's."""

    def __init__(
        self, matrices: Sequence[torch.Tensor], rate: float, momentum: float = 0.95, decay: float = 0.02
    ):
        super().__init__(matrices, {"lr": rate, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no loss is evaluated again
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes.setdefault(matrix.shape, []).append(matrix)
            for matrices in shapes.values():
                self._move(matrices, group)

    def _move(self, matrices: list[torch.Tensor], group: dict) -> None:
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        momenta = [self.state[m].setdefault("momentum", torch.zeros_like(m)) for m in matrices]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
        tall = matrices[0].shape[0] > matrices[0].shape[1]
        stack = torch.stack([update.mT if tall else update for update in ahead])
        moved = orthogonal(stack)
        moved = moved.mT if tall else moved
        scale = 0.2 * max(matrices[0].shape) ** 0.5
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["decay"])
        torch._foreach_add_(matrices, list(moved.unbind()), alpha=-group["lr"] * scale)
