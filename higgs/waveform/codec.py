"""The published codec as a whole: encode a clip, decode a stream of codes."""

from pathlib import Path

import numpy as np
import torch

from higgs.waveform.checkpoint import HOP, load_network
from higgs.waveform.network import CODEBOOKS, CodecNetwork

CONTEXT = 10  # frames on each side that a frame's samples depend on: the reach of the decoder's convolutions
MAX_WINDOW = 500  # frames decoded at once, so that an hour of speech needs no more memory than 20 s


class WaveformCodec:
    """See higgs.codec.Codec. Its weights and all it computes are float32, on the device of the network."""

    def __init__(self, network: CodecNetwork) -> None:
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "WaveformCodec":
        """Load a folder in boson's layout (model.pth) or transformers' (model.safetensors); or StartError."""
        return cls(load_network(folder).to(device))

    @property
    def device(self) -> torch.device:
        return self.network.fc.weight.device

    @torch.inference_mode()
    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        """Codes (8, N // 960), int64 on the CPU, of float samples (N,) at 24 kHz mono.

        A rest shorter than a frame is dropped: with it the two published implementations pad differently and
        disagree on almost every code. The clip is encoded whole, because HuBERT hears all of it at once.
        """
        frames = len(waveform) // HOP
        if frames == 0:
            return torch.zeros(CODEBOOKS, 0, dtype=torch.int64)
        samples = torch.from_numpy(np.ascontiguousarray(waveform[: frames * HOP], dtype=np.float32))
        with torch.backends.cudnn.flags(allow_tf32=False):
            return self.network.encode(samples.to(self.device)[None, None])[0].cpu()

    def decoder(self) -> "WaveformDecoder":
        return WaveformDecoder(self.network)


class WaveformDecoder:
    """See higgs.codec.CodecDecoder. A frame is final once ten more stand behind it."""

    def __init__(self, network: CodecNetwork) -> None:
        self._network = network
        # The frames that serve as left context, then those not yet final.
        self._window = torch.zeros(CODEBOOKS, 0, dtype=torch.int64)
        self._context = 0

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        """Samples (960·t,) of the t frames that the codes (8, any) make final; all that remain if `last`."""
        pieces = codes.split(MAX_WINDOW, dim=1)
        samples = [self._extend(piece, last and piece is pieces[-1]) for piece in pieces]
        return np.concatenate(samples)

    @torch.inference_mode()
    def _extend(self, codes: torch.Tensor, last: bool) -> np.ndarray:
        device = self._network.fc.weight.device
        window = torch.cat([self._window.to(device), codes.to(device, torch.int64)], dim=1)
        final = window.shape[1] - (0 if last else CONTEXT)
        start = self._context
        samples = np.zeros(0, np.float32)
        if final > start:
            with torch.backends.cudnn.flags(allow_tf32=False):
                samples = self._network.decode(window[None])[0, 0, start * HOP : final * HOP].cpu().numpy()
            window = window[:, max(0, final - CONTEXT) :]
            self._context = min(final, CONTEXT)
        self._window = window
        return samples
