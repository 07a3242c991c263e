"""The acoustic branch: encoder and decoder of the Descript Audio Codec (Kumar et al., arXiv 2306.06546).

Two differences from the original: transposed convolutions of odd stride pad their output by one, so that a
frame is exactly the product of the strides; and there is no final tanh.
"""

import torch
from torch import nn

DILATIONS = (1, 3, 9)


class Snake(nn.Module):
    """x + sin²(alpha·x)/alpha, a periodic activation with one alpha per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + (self.alpha + 1e-9).reciprocal() * torch.sin(self.alpha * x).pow(2)


class ResidualUnit(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.snake1 = Snake(channels)
        self.conv1 = nn.Conv1d(channels, channels, kernel_size=7, dilation=dilation, padding=3 * dilation)
        self.snake2 = Snake(channels)
        self.conv2 = nn.Conv1d(channels, channels, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(self.snake2(self.conv1(self.snake1(x))))


class EncoderBlock(nn.Module):
    """Three residual units, then twice the channels at 1/stride of the rate."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(channels, d) for d in DILATIONS)
        self.snake1 = Snake(channels)
        self.conv1 = nn.Conv1d(channels, 2 * channels, 2 * stride, stride, padding=(stride + 1) // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.res_unit3(self.res_unit2(self.res_unit1(x)))
        return self.conv1(self.snake1(x))


class DecoderBlock(nn.Module):
    """Half the channels at stride times the rate, then three residual units."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.snake1 = Snake(channels)
        self.conv_t1 = nn.ConvTranspose1d(
            channels,
            channels // 2,
            kernel_size=2 * stride,
            stride=stride,
            padding=(stride + 1) // 2,
            output_padding=stride % 2,
        )
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(channels // 2, d) for d in DILATIONS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv_t1(self.snake1(x))
        return self.res_unit3(self.res_unit2(self.res_unit1(x)))


class DacEncoder(nn.Module):
    """Waveform [B, 1, prod(strides)·T] → features [B, features, T]; `width` is the first convolution's."""

    def __init__(self, width: int, strides: list[int], features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, width, kernel_size=7, padding=3)
        self.block = nn.Sequential(*(EncoderBlock(width * 2**i, stride) for i, stride in enumerate(strides)))
        widest = width * 2 ** len(strides)
        self.snake1 = Snake(widest)
        self.conv2 = nn.Conv1d(widest, features, kernel_size=3, padding=1)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.snake1(self.block(self.conv1(waveform))))


class DacDecoder(nn.Module):
    """Features [B, features, T] → waveform [B, 1, prod(strides)·T]; `width` is the first convolution's."""

    def __init__(self, width: int, strides: list[int], features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(features, width, kernel_size=7, padding=3)
        self.block = nn.Sequential(*(DecoderBlock(width // 2**i, stride) for i, stride in enumerate(strides)))
        narrowest = width // 2 ** len(strides)
        self.snake1 = Snake(narrowest)
        self.conv2 = nn.Conv1d(narrowest, 1, kernel_size=7, padding=3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.snake1(self.block(self.conv1(features))))
