"""Resemblyzer's speaker encoder: 1.6 s of speech → an embedding of 256 values, similar for the same speaker.

Wan, Wang, Papir and Moreno, "Generalized end-to-end loss for speaker verification" (2018). Weights and
features are the package's. The package itself isn't imported: it needs librosa, numba and scikit-learn,
450 MB, for one spectrogram.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers.audio_utils import mel_filter_bank

PACKAGE = "resemblyzer"
SAMPLE_RATE = 16_000
FRAME, STEP = 400, 160
BANDS = 40
WIDTH = 256
WINDOW_FRAMES = 160
WINDOW = WINDOW_FRAMES * STEP  # samples of one window, 1.6 s
LEVEL_DB = -30.0  # level of the training data, which matters since the spectrogram isn't logarithmic
BATCH = 32


def weights_file() -> Path | None:
    """Return the weights in the installed package; None if it isn't installed."""
    found = find_spec(PACKAGE)
    folders = found.submodule_search_locations if found else None
    path = Path(folders[0]) / "pretrained.pt" if folders else None
    return path if path is not None and path.is_file() else None


class SpeakerEncoder(nn.Module):
    """A three-layer LSTM whose last state is projected to the embedding. Runs on the CPU; 6 MB."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, WIDTH, num_layers=3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        self.load_state_dict({name: state[name] for name in self.state_dict()})
        self.eval()
        filters = mel_filter_bank(
            FRAME // 2 + 1, BANDS, 0, SAMPLE_RATE / 2, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self._filters = torch.from_numpy(filters).float()

    @torch.inference_mode()
    def embeddings(self, windows: np.ndarray) -> np.ndarray:
        """Return embeddings (N, 256) of unit norm for windows of float32 samples (N, n) at 16 kHz.

        The encoder was trained on windows of 1.6 s (n = 25600); shorter ones tell less about the speaker.
        """
        spectrograms = self._spectrograms(torch.from_numpy(windows))
        prints = []
        for part in spectrograms.split(BATCH):
            _, (state, _) = self.lstm(part)
            prints.append(nn.functional.normalize(torch.relu(self.linear(state[-1])), dim=1))
        return torch.cat(prints).numpy()

    def _spectrograms(self, windows: torch.Tensor) -> torch.Tensor:
        """Return the power in mel bands (N, F, 40), F at most 160."""
        window = torch.hann_window(FRAME)
        spectrum = torch.stft(windows, FRAME, STEP, window=window, pad_mode="constant", return_complex=True)
        return (spectrum.abs() ** 2).transpose(1, 2)[:, :WINDOW_FRAMES] @ self._filters
