"""The published codec on cuda:0, at its own shape: its graphs, its launches, and what it never waits for."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("triton")
from higgs.codecs.higgs_v2 import gpu_decode
from higgs.codecs.higgs_v2.buckets import Window, all_buckets
from higgs.codecs.higgs_v2.checkpoint import load_network
from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.codecs.higgs_v2.dac import DacDecoder
from higgs.codecs.higgs_v2.dynamic_batcher import DynamicBatcher
from higgs.codecs.higgs_v2.gpu_decode import GpuDecode
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.cuda import dac
from higgs.cuda.dac import KernelDacDecoder
from higgs.devices import on_stream
from higgs.engine.cuda_graphs import Graphs
from tests.cuda_shapes.fake_cuda import DEVICE, FakeGraph, Launches, Watch, watched
from tests.higgs.test_published import native_codec, native_codec_config
from tests.published import write_safetensors

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="needs torch's CUDA build")


@pytest.fixture
def network(watch: Watch, tmp_path: Path) -> CodecNetwork:
    write_safetensors(tmp_path / "model.safetensors", native_codec(tmp_path), "F32")
    (tmp_path / "config.json").write_text(json.dumps(native_codec_config()), "utf-8")
    network = load_network(tmp_path)
    weights = {name: part.to(DEVICE) for name, part in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def window(frames: int, first: bool = False, last: bool = False) -> Window:
    return Window(torch.zeros(8, frames, dtype=torch.int64), first, last)


def replays() -> int:
    return sum(graph.replays for graph in FakeGraph.captured)


def test_the_codec_encodes_exactly_and_decodes_in_tf32_by_cudnn(
    watch: Watch, network: CodecNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DynamicBatcher, "run", lambda batcher, work: work())  # the GPU is in this thread
    codec = WaveformCodec(network)
    assert codec.device == DEVICE and not torch.backends.cudnn.allow_tf32
    assert watch.tf32 == {True}, "what is captured rounds"
    with torch.no_grad():
        watch.convolutions = 0
        codes = network.encode(torch.zeros(1, 1, 10 * 960, device=DEVICE))
        assert codes.shape == (1, 8, 10) and codes.device == DEVICE
        encoding = watch.convolutions
        assert network.decode(codes).shape == (1, 1, 10 * 960)
        assert encoding > 40 and watch.convolutions - encoding > 30
    watch.tf32.clear()
    assert codec.encode(np.zeros(9600, np.float32)).shape == (8, 10)
    assert watch.tf32 == {False}, "codes are those of float32"


def test_each_bucket_is_a_graph_and_what_has_none_is_decoded_eagerly(
    watch: Watch, network: CodecNetwork
) -> None:
    decode = GpuDecode(network, threading.Lock())
    assert decode._graphs._captured.keys() == set(all_buckets()) and len(FakeGraph.captured) == 17
    assert isinstance(decode._acoustic_decoder, KernelDacDecoder)
    with watched(Watch(serving=True)):  # nothing waits but for the samples
        before = replays()
        decoded = decode([window(30), window(28, last=True), window(44)])
        assert [samples.shape for samples in decoded] == [(30 * 960,), (28 * 960,), (44 * 960,)]
        assert {samples.device.type for samples in decoded} == {"cpu"} and replays() == before + 1
        watch.tf32.clear()
        assert decode([window(15, first=True, last=True)])[0].shape == (15 * 960,)
        assert replays() == before + 1 and not torch.backends.cudnn.allow_tf32


def test_without_graphs_all_buckets_are_decoded_exactly_and_wait_for_nobody(
    watch: Watch, network: CodecNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Noting(GpuDecode):
        def _decode(self, length: int, rows: int) -> torch.Tensor:
            decoded.append((length, rows))
            return super()._decode(length, rows)

    decoded: list[tuple[int, int]] = []
    monkeypatch.setattr(Graphs, "parts", ("model",))
    computing = threading.Lock()
    with computing:
        Noting(network, computing).warm_up()
    assert decoded == all_buckets() and not FakeGraph.captured and watch.tf32 == {False}


def test_a_capture_that_fails_leaves_the_codec_eager(
    watch: Watch, network: CodecNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(GpuDecode):
        def _decode(self, length: int, rows: int) -> torch.Tensor:
            if watch.capturing and length < 68:
                raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
            return super()._decode(length, rows)

    decode = Failing(network, threading.Lock())
    assert set(decode._graphs._captured) == {(148, 2), (148, 1), (68, 4), (68, 2), (68, 1)}
    assert "no CUDA graph of the codec's decoding of (44, 4)" in caplog.text
    assert [samples.shape for samples in decode([window(40)])] == [(40 * 960,)]


def test_a_kernel_that_computes_something_else_stays_unused(
    watch: Watch, network: CodecNetwork, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dac, "largest", lambda errors: float("nan"))
    decode = GpuDecode(network, threading.Lock())
    assert isinstance(decode._acoustic_decoder, DacDecoder) and "stays unused" in caplog.text
    assert len(FakeGraph.captured) == 17


def test_decoding_takes_few_launches(watch: Watch, network: CodecNetwork) -> None:
    decode = GpuDecode(network, threading.Lock())
    counts = []
    for acoustic_decoder in (network.acoustic_decoder, decode._acoustic_decoder):
        decode._acoustic_decoder = acoustic_decoder
        with torch.inference_mode(), on_stream(None), Launches() as launches:
            decode._decode(44, 1)
        counts.append(launches.count)
    eager, kernels = counts
    # A convolution and what follows it, seven pairs a block; before and behind them; eight codebooks.
    assert kernels <= 5 * 14 + 3 + 24
    assert eager > 3 * kernels


def test_a_batch_is_computed_while_a_recording_is_encoded(watch: Watch, network: CodecNetwork) -> None:
    """A replay needs no switch of cuDNN's, so it doesn't wait for an encoding."""
    computing = threading.Lock()
    decode = gpu_decode.GpuDecode(network, computing)
    with computing:
        assert decode([window(12, first=True)])[0].shape == (12 * 960,)
