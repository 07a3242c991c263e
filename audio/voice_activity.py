"""Voice activity detection with Silero VAD, a small network that tells speech from noise, tones and music.

Its weights (MIT, 1.2 MB) come with the package silero-vad, whose code is not used. It detected speech in all
of 119 recordings (plain, whispered, noisy, telephone) and in none of 41 other sounds (bench/LOG.md). Level
and pitch alone accepted half of those sounds.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soxr
import torch
from safetensors.torch import load_file
from torch import nn

from errors import StartError

PACKAGE = "silero_vad"
SAMPLE_RATE = 16_000
WINDOW, CONTEXT, PAD = 512, 64, 64
WINDOW_SECONDS = WINDOW / SAMPLE_RATE
BINS = 129
BLOCK = 512  # windows at once, 16 s
SPOKEN = 0.5


class VoiceActivity(nn.Module):
    """A spectrogram layer, four convolutions, an LSTM and one probability per window."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * BINS, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(
        self, windows: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Run windows (N, 576) from the state of the previous ones; return probabilities (N,) and state."""
        padded = nn.functional.pad(windows[:, None], (0, PAD), "reflect")
        real, imaginary = self.stft_conv(padded).split(BINS, dim=1)
        hidden = torch.sqrt(real**2 + imaginary**2)
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            hidden = layer(hidden).relu()
        hidden, state = self.lstm(hidden.transpose(1, 2), state)
        return self.final_conv(hidden.relu().transpose(1, 2)).sigmoid().mean(dim=2)[:, 0], state


@torch.inference_mode()
def speech_probabilities(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the probability of speech in each 32 ms.

    Args:
        samples: mono float32 (N,).
        sample_rate: in Hz.

    Returns:
        Probabilities (M,), 0 to 1.

    Raises:
        StartError: the weights are missing.
    """
    network, state = _network(), None
    sound = torch.from_numpy(soxr.resample(samples, sample_rate, SAMPLE_RATE).astype(np.float32))
    padded = nn.functional.pad(sound, (CONTEXT, -len(sound) % WINDOW))
    windows = padded.unfold(0, CONTEXT + WINDOW, WINDOW)
    found = []
    for block in windows.split(BLOCK):
        probabilities, state = network(block, state)
        found.append(probabilities)
    return torch.cat(found).numpy() if found else np.zeros(0, np.float32)


class VoiceActivityStream:
    """The same in sound that comes chunk by chunk: the windows that are whole, as they become so."""

    def __init__(self, sample_rate: int) -> None:
        self._resampler = soxr.ResampleStream(sample_rate, SAMPLE_RATE, num_channels=1, dtype="float32")
        self._held = np.zeros(CONTEXT, np.float32)  # the context of the next window, and what has come of it
        self._state: tuple[torch.Tensor, torch.Tensor] | None = None

    @torch.inference_mode()
    def push(self, samples: np.ndarray) -> np.ndarray:
        """The probabilities (m,) of the windows that mono float32 samples (n,) make whole."""
        held = np.concatenate([self._held, self._resampler.resample_chunk(samples)])
        count = (len(held) - CONTEXT) // WINDOW
        self._held = held[count * WINDOW :]
        if not count:
            return np.zeros(0, np.float32)
        windows = torch.from_numpy(held[: CONTEXT + count * WINDOW]).unfold(0, CONTEXT + WINDOW, WINDOW)
        probabilities, self._state = _network()(windows, self._state)
        return probabilities.numpy()


def voice_seconds(samples: np.ndarray, sample_rate: int) -> float:
    """Return the seconds of speech in mono float32 samples (N,)."""
    return float((speech_probabilities(samples, sample_rate) > SPOKEN).sum()) * WINDOW_SECONDS


@cache
def _network() -> VoiceActivity:
    weights = load_file(_weights_file())
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        weights[f"lstm.{name}_l0"] = weights.pop(f"lstm_cell.{name}")
    network = VoiceActivity()
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def _weights_file() -> Path:
    found = find_spec(PACKAGE)
    folders = found.submodule_search_locations if found else None
    path = Path(folders[0]) / "data" / "silero_vad_16k.safetensors" if folders else None
    if path is None or not path.is_file():
        raise StartError("The weights of the voice detector are missing; pip install -r requirements.txt.")
    return path
