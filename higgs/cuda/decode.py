"""The decode step with Triton kernels: fewer launches, and attention over each stream's own positions only.

FusedDecode is the reference, and serves if the kernels can't be compiled or give other results.
"""

import torch

from higgs.cuda.fallback import kernels_or
from higgs.engine.fused_decode import FusedDecode
from higgs.model.quantised import addmm, matmul

CHECKED = 300  # positions of the check's longest stream: several blocks of the kernels, and part of one
MAX_ERROR = 0.1  # relative; bfloat16 rounds to 0.02, and what is wrong differs by more than 1


class KernelDecode:
    """Compute what FusedDecode computes, with its weights and its KV cache."""

    def __init__(self, eager: FusedDecode) -> None:
        from higgs.cuda import launches  # needs Triton, which comes with torch's CUDA build only

        self.eager, self.kernels = eager, launches

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """See FusedDecode; `length` is ignored, since each stream's own is read on the device."""
        eager, epsilon = self.eager, self.eager.config.rms_norm_eps
        x, firsts = eager.embed(columns), eager.first_places[: len(columns)]
        for layer, weights in enumerate(eager.layers):
            cache = eager.cache.data[layer]
            normed = self.kernels.rms_norm(x, weights.input_norm, epsilon)
            qkv = self.rotated_qkv(layer, normed, positions, firsts, cache)
            x = addmm(x, self.kernels.decode_attention(qkv, cache, positions), weights.output)
            normed = self.kernels.rms_norm(x, weights.feed_norm, epsilon)
            x = addmm(x, self.kernels.swiglu(matmul(normed, weights.gate_up)), weights.down)
        return eager.logits(x, len(columns))

    def rotated_qkv(
        self,
        layer: int,
        normed: torch.Tensor,
        positions: torch.Tensor,
        firsts: torch.Tensor,
        cache: torch.Tensor,
    ) -> torch.Tensor:
        """Compute a layer's qkv [n, heads + 2 * kv_heads, D], rotated; keys and values go to the KV cache."""
        weights, config = self.eager.layers[layer], self.eager.config
        qkv = matmul(normed, weights.query_key_value).view(len(normed), -1, config.head_dim)
        norms = weights.query_key_norm
        epsilon = config.rms_norm_eps
        self.kernels.rope_and_write_kv(qkv, self.eager.rope, norms, positions, firsts, cache, epsilon)
        return qkv


def decode_on_gpu(eager: FusedDecode) -> FusedDecode | KernelDecode:
    """Return a KernelDecode if its kernels work here, else the eager path; the log says why."""
    return kernels_or(
        eager,
        lambda: KernelDecode(eager),
        lambda error: error < MAX_ERROR,
        lambda kernels: relative_error(eager, kernels),
        "the Triton kernels can't be used, so generation is slower: %s",
        "the Triton kernels give other results (error %.3f) and stay unused; generation is slower",
    )


def relative_error(eager: FusedDecode, kernels: KernelDecode) -> float:
    """Return the relative error of the kernels' logits against the eager ones, at the worst batch size.

    The streams have lengths up to CHECKED and random keys and values, which are cleared afterwards.
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
    """Return the largest of some numbers; waits for the device."""
    return numbers.max().item()
