"""The published codec: encode a clip, decode a stream of codes."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from audio.frames import CODEBOOKS, HOP
from errors import Cancelled, ModelError
from higgs.codecs.higgs_v2 import buckets
from higgs.codecs.higgs_v2.buckets import Window, max_windows
from higgs.codecs.higgs_v2.checkpoint import load_network
from higgs.codecs.higgs_v2.dynamic_batcher import DynamicBatcher
from higgs.codecs.higgs_v2.gpu_decode import GpuDecode
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.devices import on_stream, upload

CONTEXT = 10  # frames on each side that a frame's samples depend on: the decoder's receptive field
MAX_WINDOW = 500  # frames decoded at once on a CPU, to bound memory

Decode = Callable[[Window], "Future[torch.Tensor]"]  # → samples (960·t,) on the CPU


class WaveformCodec:
    """See higgs.codecs.base.Codec. Weights and computation are float32, on the network's device.

    On a GPU one thread decodes what concurrent streams ask for, in batches (see GpuDecode). Encoding is
    exact, since TF32 would change codes, on another CUDA stream, and one recording at a time, so that memory
    holds the work of one. On a CPU, where batches are no faster and round differently, each stream is decoded
    alone, in its own thread, and its result doesn't depend on the others.
    """

    def __init__(self, network: CodecNetwork) -> None:
        self.network = network.eval().requires_grad_(False)
        self._encoding: torch.cuda.Stream | None = None
        self._computing = threading.Lock()
        self._decode: Decode = self._decode_alone
        self._max_chunk = MAX_WINDOW
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
            self._encoding = torch.cuda.Stream(self.device)
            gpu_decode = GpuDecode(network, self._computing)
            self._batcher = DynamicBatcher(gpu_decode, max_windows)
            self._batcher.run(gpu_decode.warm_up)
            self._decode, self._max_chunk = self._decode_in_batch, buckets.MAX_CHUNK

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
        alone = nullcontext() if self._encoding is None else self._computing
        with alone, on_stream(self._encoding):
            return self.network.encode(upload(samples, self.device)[None, None])[0].cpu()

    def decoder(self) -> "WaveformDecoder":
        return WaveformDecoder(self._decode, self._max_chunk)

    def _decode_in_batch(self, window: Window) -> "Future[torch.Tensor]":
        # On a GPU a wrong index would cost everyone: the device is lost.
        if window.codes.min() < 0 or window.codes.max() >= self.network.codebook_size:
            raise ModelError("The model wrote a code that its codec doesn't have.")
        return self._batcher.submit(window, window.length)

    @torch.inference_mode()
    def _decode_alone(self, window: Window) -> "Future[torch.Tensor]":
        decoded = Future[torch.Tensor]()
        decoded.set_result(self.network.decode(window.codes[None])[0, 0])
        return decoded


class WaveformDecoder:
    """See higgs.codecs.base.CodecDecoder. A frame is final once ten more follow it."""

    ahead = CONTEXT

    def __init__(self, decode: Decode, max_chunk: int) -> None:
        self._decode, self._max_chunk = decode, max_chunk
        # Frames of left context, then those not yet final.
        self._window = torch.zeros(CODEBOOKS, 0, dtype=torch.int64)
        self._context = 0
        self._decoding: Future[torch.Tensor] | None = None
        self._cancelled = False

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        """Return the samples (960·t,) of the t frames that are final now; all remaining ones if `last`."""
        pieces = codes.split(self._max_chunk, dim=1)
        samples = [self._extend(piece, last and piece is pieces[-1]) for piece in pieces]
        return np.concatenate(samples)

    def cancel(self) -> None:
        """See CodecDecoder.cancel."""
        self._cancelled = True
        if (decoding := self._decoding) is not None:
            decoding.cancel()

    def _extend(self, codes: torch.Tensor, last: bool) -> np.ndarray:
        window = torch.cat([self._window, codes.to("cpu", torch.int64)], dim=1)
        final = window.shape[1] - (0 if last else CONTEXT)
        start = self._context
        samples = np.zeros(0, np.float32)
        if final > start:
            decoded = self._decoded(Window(window, start < CONTEXT, last))
            samples = decoded[start * HOP : final * HOP].numpy()
            window = window[:, max(0, final - CONTEXT) :]
            self._context = min(final, CONTEXT)
        self._window = window
        return samples

    def _decoded(self, window: Window) -> torch.Tensor:
        decoding = self._decoding = self._decode(window)
        if self._cancelled:
            decoding.cancel()  # `cancel` may not have seen it
        try:
            return decoding.result()
        except CancelledError:
            raise Cancelled("The speech was cancelled.") from None
        finally:
            self._decoding = None
