"""FusedDecode's work with kernels of our own: fewer launches, and each stream's own positions only.

FusedDecode stays the reference: where the kernels can't be compiled, or compute something else, it serves.
"""

import logging

import torch
import torch.nn.functional as F

from higgs.engine.fused_decode import FusedDecode
from higgs.model.quantised import multiply, multiply_add

log = logging.getLogger(__name__)

CHECKED = (
    300  # positions of the longest stream of the check: several of the kernels' blocks, and a part of one
)
MAX_ERROR = 0.1  # relative; bfloat16 rounds to 0.02, and what is wrong differs by more than 1


class KernelDecode:
    """As of FusedDecode, whose weights it shares; see there."""

    def __init__(self, eager: FusedDecode) -> None:
        from higgs.cuda import launches  # needs Triton, which comes with torch's CUDA build only

        self.eager, self.kernels = eager, launches

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """As of FusedDecode, but whatever the length: those of the streams are read on the device."""
        eager, epsilon = self.eager, self.eager.config.rms_norm_eps
        x = eager.embed(columns)
        for layer, weights in enumerate(eager.layers):
            cache = eager.cache.data[layer]
            normed = F.rms_norm(x, x.shape[-1:], weights.input_norm, epsilon)
            qkv = self.turned(layer, normed, positions, cache)
            x = multiply_add(x, self.kernels.attend(qkv, cache, positions), weights.output)
            normed = F.rms_norm(x, x.shape[-1:], weights.feed_norm, epsilon)
            x = multiply_add(x, self.kernels.swiglu(multiply(normed, weights.gate_up)), weights.down)
        return eager.logits(x, len(columns))

    def turned(
        self, layer: int, normed: torch.Tensor, positions: torch.Tensor, cache: torch.Tensor
    ) -> torch.Tensor:
        """A layer's queries, turned, among [n, heads + 2 * kv_heads, D]; keys and values go to the cache."""
        weights, config = self.eager.layers[layer], self.eager.config
        qkv = multiply(normed, weights.query_key_value).view(len(normed), -1, config.head_dim)
        norms = weights.query_key_norm
        self.kernels.turn_and_store(qkv, self.eager.turns, norms, positions, cache, config.rms_norm_eps)
        return qkv


def decode_on_gpu(eager: FusedDecode) -> FusedDecode | KernelDecode:
    """The kernels where they work here; where they don't, the eager path, and the log says why."""
    try:
        kernels = KernelDecode(eager)
        error = disagreement(eager, kernels)
    except Exception as failure:  # of a compiler, a driver or a package that isn't there: whatever it raises
        log.warning("no kernels of our own, so that speech is slower: %s", failure)
        return eager
    if not error < MAX_ERROR:
        log.warning("our kernels compute something else (%.3f) and stay unused; speech is slower", error)
        return eager
    return kernels


def disagreement(eager: FusedDecode, kernels: KernelDecode) -> float:
    """How far the kernels' logits are from the eager ones, relative to these, at the worst batch size.

    Streams of all lengths up to CHECKED among random keys and values, which are gone afterwards.
    """
    cache, codebooks = eager.cache, eager.config.num_codebooks
    length = min(CHECKED, cache.capacity)
    checked = cache.data[:, :, :length]
    errors = []
    for n in {min(1 << power, cache.rows) for power in range(cache.rows.bit_length() + 1)}:
        checked.normal_()
        positions = torch.linspace(length - 1, 0, n, device=cache.device).round().to(torch.int64)
        columns = torch.randint(eager.config.bos_code, (n, codebooks), device=cache.device)
        exact = eager(columns, positions, length)
        errors.append((kernels(columns, positions, length) - exact).norm() / exact.norm())
    checked.zero_()
    return largest(torch.stack(errors))


def largest(numbers: torch.Tensor) -> float:
    """Waits for the device."""
    return numbers.max().item()
