"""Decoding on a GPU: batches of windows in buckets, each bucket one CUDA graph where the codec has graphs."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from audio.frames import CODEBOOKS, HOP
from higgs.codecs.higgs_v2.buckets import MAX_BATCH, Window, all_buckets, cut, fill, windows_around
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.cuda.dac import decoder_on_gpu
from higgs.devices import on_stream
from higgs.engine.cuda_graphs import Graphs


class GpuDecode:
    """Decodes windows of one length. One thread may call it; replays wait for nobody else.

    Its stream has the priority of none, so that the language model's steps go first. Graphs compute in TF32;
    without them it computes in float32, since the switch of TF32 is one of the whole process.

    Args:
        network: on its device.
        computing: held while cuDNN may use TF32.
    """

    def __init__(self, network: CodecNetwork, computing: threading.Lock) -> None:
        device = network.fc.weight.device
        self._network, self._computing = network, computing
        self._stream = torch.cuda.Stream(device)
        self._stream.wait_stream(torch.cuda.default_stream(device))  # where the weights were copied
        with torch.inference_mode(), on_stream(self._stream):
            self._codes = torch.zeros(CODEBOOKS * MAX_BATCH, dtype=torch.int64, device=device)
            # Pinned, or copies would wait for the device.
            self._given = torch.zeros(CODEBOOKS * MAX_BATCH, dtype=torch.int64, pin_memory=True)
            self._samples = torch.empty(MAX_BATCH * HOP, pin_memory=True)
            self._graphs = Graphs(self._decode, name="the codec's decoding", part="codec")
            self._acoustic_decoder = self._chosen_decoder()
            self._codes.random_(network.codebook_size)  # for the graphs' check
            self._graphs.capture(all_buckets(), device)
        self._stream.synchronize()

    @torch.inference_mode()
    def __call__(self, windows: Sequence[Window]) -> list[torch.Tensor]:
        """Return the samples (960·t,) of each window, on the CPU."""
        rows, length = windows_around(len(windows)), windows[0].length
        codes = self._given[: CODEBOOKS * rows * length].view(CODEBOOKS, rows, length).zero_()
        fill(codes, windows)
        with on_stream(self._stream):
            self._codes[: codes.numel()].copy_(codes.view(-1), non_blocking=True)
            decoded = self._graphs(length, rows)
            samples = self._samples[: decoded.numel()]
            samples.copy_(decoded.view(-1), non_blocking=True)
            done = torch.cuda.Event(blocking=True)  # this thread's waiting keeps no core busy
            done.record()
        done.synchronize()
        return cut(samples.view(rows, -1), windows)

    def warm_up(self) -> None:
        """Decode a batch of each bucket. cuDNN's plans belong to the thread that made them."""
        for length, rows in all_buckets():
            self([Window(torch.zeros(CODEBOOKS, length, dtype=torch.int64), False, False)] * rows)

    def _decode(self, length: int, rows: int) -> torch.Tensor:
        """Decode the first codes of the buffer, as [8, rows, length], to samples [rows, 1, 960·length]."""
        codes = self._codes[: CODEBOOKS * rows * length].view(CODEBOOKS, rows, length).transpose(0, 1)
        with self._rounding():
            return self._acoustic_decoder(self._network.acoustic_features(codes))

    @contextmanager
    def _rounding(self) -> Iterator[None]:
        if not self._graphs.wanted:
            yield
            return
        # torch.backends.cudnn.flags would disable cuDNN by default.
        with self._computing:
            torch.backends.cudnn.allow_tf32 = True
            try:
                yield
            finally:
                torch.backends.cudnn.allow_tf32 = False

    def _chosen_decoder(self) -> Callable[[torch.Tensor], torch.Tensor]:
        with self._rounding():
            return decoder_on_gpu(self._network.acoustic_decoder)
