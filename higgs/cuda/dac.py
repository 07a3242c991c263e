"""The codec's decoder with a Triton kernel: half the launches, and fewer passes over the activations.

Whatever stands between two convolutions (the bias, the residual's addition, Snake) is one kernel instead of
up to ten. DacDecoder is the reference, and serves if the kernel can't be compiled or gives other results.
"""

from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from higgs.codecs.higgs_v2.dac import DacDecoder, DecoderBlock, Snake
from higgs.cuda.decode import largest
from higgs.cuda.fallback import kernels_or

MAX_ERROR = 0.01  # relative; TF32 rounds to 0.001, and what is wrong differs by more than 0.1
CHECKED = 12  # frames


class KernelDacDecoder:
    """Compute what a DacDecoder computes, with its weights."""

    def __init__(self, eager: DacDecoder) -> None:
        from higgs.cuda.snake import add_and_snake  # needs Triton, which comes with torch's CUDA build only

        self.eager, self._add_and_snake = eager, add_and_snake

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Features [B, features, T] → waveform [B, 1, prod(strides)·T]; see DacDecoder."""
        blocks = [cast(DecoderBlock, block) for block in self.eager.block]
        after = [*(block.snake1 for block in blocks[1:]), self.eager.snake1]
        active = self._snake(self.eager.conv1, features, blocks[0].snake1)
        for block, following in zip(blocks, after, strict=True):
            active = self._block(active, block, following)
        return self.eager.conv2(active)

    def _block(self, active: torch.Tensor, block: DecoderBlock, following: Snake) -> torch.Tensor:
        """Compute a block behind its first Snake, and the Snake that follows it."""
        units = [block.res_unit1, block.res_unit2, block.res_unit3]
        after = [units[1].snake1, units[2].snake1, following]
        x = _convolved(block.conv_t1, active)
        active = self._add_and_snake(x, _bias(block.conv_t1), None, units[0].snake1.alpha, True)
        for unit, snake in zip(units, after, strict=True):
            active = self._snake(unit.conv1, active, unit.snake2)
            further = _convolved(unit.conv2, active)
            keep = snake is not following  # no later unit adds it
            active = self._add_and_snake(further, _bias(unit.conv2), x, snake.alpha, keep)
            x = further
        return active

    def _snake(self, layer: nn.Conv1d, active: torch.Tensor, snake: Snake) -> torch.Tensor:
        return self._add_and_snake(_convolved(layer, active), _bias(layer), None, snake.alpha, False)


def _convolved(layer: nn.Conv1d | nn.ConvTranspose1d, x: torch.Tensor) -> torch.Tensor:
    """Compute a convolution without its bias, which the kernel adds."""
    if isinstance(layer, nn.Conv1d):
        return F.conv1d(x, layer.weight, None, layer.stride, layer.padding, layer.dilation)  # type: ignore[arg-type]
    return F.conv_transpose1d(x, layer.weight, None, layer.stride, layer.padding, layer.output_padding)  # type: ignore[arg-type]


def _bias(layer: nn.Conv1d | nn.ConvTranspose1d) -> torch.Tensor:
    return cast(torch.Tensor, layer.bias)


def decoder_on_gpu(eager: DacDecoder) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a KernelDacDecoder if its kernel works here, else the eager decoder; the log says why."""
    return kernels_or(
        eager,
        lambda: KernelDacDecoder(eager),
        lambda error: error < MAX_ERROR,
        lambda kernels: relative_error(eager, kernels),
        "the codec's Triton kernel can't be used, so decoding is slower: %s",
        "the codec's Triton kernel gives other results (error %.3f) and stays unused",
    )


def relative_error(eager: DacDecoder, kernels: KernelDacDecoder) -> float:
    """Return the relative error of the kernels' waveforms of random features, of one and of three."""
    width, weight = eager.conv1.in_channels, eager.conv1.weight
    errors = []
    for batch in (1, 3):
        features = torch.randn(batch, width, CHECKED, device=weight.device)
        exact = eager(features)
        errors.append((kernels(features) - exact).norm() / exact.norm())
    return largest(torch.stack(errors))
