"""The semantic branch: HuBERT features of 16 kHz audio, at the codec's frame rate."""

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

if TYPE_CHECKING:
    from transformers import HubertConfig

ZERO_CROSSINGS = 6
ROLLOFF = 0.99


def resample(waveform: torch.Tensor, source: int, target: int) -> torch.Tensor:
    """Resample [B, N] by windowed-sinc interpolation to [B, ⌈N·target/source⌉].

    The same filter as torchaudio's functional.resample (Hann window over six zero crossings, cutoff at 0.99
    of the lower Nyquist frequency), in single precision too: the codec was trained on its output.
    """
    if source == target:
        return waveform
    common = math.gcd(source, target)
    source, target = source // common, target // common
    cutoff = min(source, target) * ROLLOFF
    width = math.ceil(ZERO_CROSSINGS * source / cutoff)
    taps = torch.arange(-width, width + source, dtype=waveform.dtype, device=waveform.device) / source
    phases = torch.arange(0, -target, -1, dtype=waveform.dtype, device=waveform.device) / target
    time = ((phases[:, None] + taps) * cutoff).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = torch.cos(time * math.pi / ZERO_CROSSINGS / 2) ** 2
    angle = time * math.pi
    sinc = torch.where(angle == 0, 1.0, angle.sin() / angle)
    kernel = sinc * (window * (cutoff / source))
    padded = F.pad(waveform, (width, width + source))
    phases_of_samples = F.conv1d(padded[:, None], kernel[:, None], stride=source)
    resampled = phases_of_samples.transpose(1, 2).reshape(len(waveform), -1)
    return resampled[:, : math.ceil(target * waveform.shape[1] / source)]


def build_hubert(config: "HubertConfig") -> nn.Module:
    """Build HuBERT for inference: no masking, and its weight-normed convolution fused."""
    # transformers' models take 2 s of a start to import, and only this codec needs one.
    from transformers import HubertModel

    config.mask_time_prob = config.mask_feature_prob = 0.0
    model = HubertModel(config)
    parametrize.remove_parametrizations(model.encoder.pos_conv_embed.conv, "weight")
    return model


class ResidualUnit(nn.Module):
    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.conv1 = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding, bias=False)
        self.conv2 = nn.Conv1d(channels, channels, kernel_size=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(F.elu(self.conv1(F.elu(x))))


class SemanticBlock(nn.Module):
    def __init__(self, channels: int, kernel: int, dilations: list[int]) -> None:
        super().__init__()
        self.res_units = nn.Sequential(*(ResidualUnit(channels, kernel, dilation) for dilation in dilations))
        self.conv = nn.Conv1d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.res_units(x))


class SemanticEncoder(nn.Module):
    """Convolutions [B, channels, T] → [B, channels, T]."""

    def __init__(
        self, channels: int, kernel: int, blocks: int, unit_kernel: int, dilations: list[int]
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.conv_blocks = nn.Sequential(
            *(SemanticBlock(channels, unit_kernel, dilations) for _ in range(blocks))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_blocks(self.conv(x))
