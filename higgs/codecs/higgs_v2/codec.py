"""The published codec: encode a clip, decode a stream of codes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from audio.frames import CODEBOOKS, HOP
from higgs.codecs.higgs_v2.checkpoint import load_network
from higgs.codecs.higgs_v2.dynamic_batcher import DynamicBatcher
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.devices import on_stream, upload

CONTEXT = 10  # frames on each side that a frame's samples depend on: the decoder's receptive field
MAX_WINDOW = 500  # frames decoded at once, to bound memory
MAX_BATCH = 1000  # frames of several streams decoded at once


class WaveformCodec:
    """See higgs.codecs.base.Codec. Weights and computation are float32, on the network's device.

    On a GPU, concurrent streams are decoded as one batch, on a separate CUDA stream, so that the language
    model's steps don't wait. Calls are computed one after the other, so that memory holds the work of one.
    Decoding uses TF32; encoding doesn't, since that would change codes. On a CPU, where batches are no faster
    and round differently, each stream is decoded alone, and its result doesn't depend on the others.
    """

    def __init__(self, network: CodecNetwork) -> None:
        self.network = network.eval().requires_grad_(False)
        self._aside: torch.cuda.Stream | None = None
        self._computing = threading.Lock()
        self._decode_row: Callable[[torch.Tensor], torch.Tensor] = self._decode_alone
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            self._aside = torch.cuda.Stream(self.device)
            self._decode_row = DynamicBatcher(self._decode, max_elements=CODEBOOKS * MAX_BATCH)

    @classmethod
    def load(cls, folder: Path, device: torch.device | str = "cpu") -> "WaveformCodec":
        """Load a folder in boson's (model.pth) or transformers' layout. Raises StartError."""
        return cls(load_network(folder).to(device))

    @property
    def device(self) -> torch.device:
        return self.network.fc.weight.device

    @torch.inference_mode()
    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        """Encode float samples (N,) at 24 kHz mono to codes (8, N // 960), int64 on the CPU.

        An incomplete last frame is dropped: the two published implementations pad it differently and then
        disagree on almost every code. The clip is encoded as a whole, since HuBERT attends to all of it.
        """
        frames = len(waveform) // HOP
        if frames == 0:
            return torch.zeros(CODEBOOKS, 0, dtype=torch.int64)
        samples = torch.from_numpy(np.ascontiguousarray(waveform[: frames * HOP], dtype=np.float32))
        with self._on_device():
            return self.network.encode(upload(samples, self.device)[None, None])[0].cpu()

    def decoder(self) -> "WaveformDecoder":
        return WaveformDecoder(self._decode_row)

    @contextmanager
    def _on_device(self, tf32: bool = False) -> Iterator[None]:
        """On a GPU, hold the codec's stream for one call."""
        if self._aside is None:
            yield
            return
        # torch.backends.cudnn.flags would disable cuDNN by default. Both are process-wide; the other models
        # of this process work with either.
        with self._computing, on_stream(self._aside):
            torch.backends.cudnn.allow_tf32 = tf32
            try:
                yield
            finally:
                torch.backends.cudnn.allow_tf32 = False

    @torch.inference_mode()
    def _decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode codes [B, 8, T] to samples [B, 960·T] on the CPU."""
        with self._on_device(tf32=True):
            return self.network.decode(upload(codes, self.device))[:, 0].cpu()

    def _decode_alone(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode codes [8, T] to samples [960·T]."""
        return self._decode(codes[None])[0]


class WaveformDecoder:
    """See higgs.codecs.base.CodecDecoder. A frame is final once ten more follow it."""

    ahead = CONTEXT

    def __init__(self, decode: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._decode = decode
        # Frames of left context, then those not yet final.
        self._window = torch.zeros(CODEBOOKS, 0, dtype=torch.int64)
        self._context = 0

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        """Return the samples (960·t,) of the t frames that are final now; all remaining ones if `last`."""
        pieces = codes.split(MAX_WINDOW, dim=1)
        samples = [self._extend(piece, last and piece is pieces[-1]) for piece in pieces]
        return np.concatenate(samples)

    def _extend(self, codes: torch.Tensor, last: bool) -> np.ndarray:
        window = torch.cat([self._window, codes.to("cpu", torch.int64)], dim=1)
        final = window.shape[1] - (0 if last else CONTEXT)
        start = self._context
        samples = np.zeros(0, np.float32)
        if final > start:
            samples = self._decode(window)[start * HOP : final * HOP].numpy()
            window = window[:, max(0, final - CONTEXT) :]
            self._context = min(final, CONTEXT)
        self._window = window
        return samples
