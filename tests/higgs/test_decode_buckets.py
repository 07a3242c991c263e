"""In which sizes a GPU decodes, and that what fills a bucket is not heard; computed on the CPU."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch

from audio.frames import CODEBOOKS, HOP
from errors import Cancelled, ModelError
from higgs.codecs.base import decode
from higgs.codecs.higgs_v2 import buckets
from higgs.codecs.higgs_v2.buckets import (
    LENGTHS,
    MAX_BATCH,
    Window,
    all_buckets,
    cut,
    fill,
    max_windows,
    windows_around,
)
from higgs.codecs.higgs_v2.codec import MAX_WINDOW, WaveformCodec, WaveformDecoder
from higgs.codecs.higgs_v2.dynamic_batcher import DynamicBatcher
from higgs.playback import MAX_CHUNK, Playback
from higgs.speech import FIRST_CHUNK, FIRST_SOUND
from tests.tiny_codec import NATIVE

CLOSE = 1e-5


@pytest.fixture(scope="module")
def codec() -> WaveformCodec:
    return WaveformCodec.load(NATIVE)


def random_codes(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(1024, (CODEBOOKS, frames), generator=torch.Generator().manual_seed(seed))


def in_buckets(codec: WaveformCodec) -> Callable[[Window], "Future[torch.Tensor]"]:
    """What decodes windows on the CPU as GpuDecode does on a GPU."""

    @torch.inference_mode()
    def decode_batch(windows: Sequence[Window]) -> list[torch.Tensor]:
        rows, length = windows_around(len(windows)), windows[0].length
        assert {window.length for window in windows} == {length} and rows * length <= MAX_BATCH
        batch = torch.zeros(CODEBOOKS, rows, length, dtype=torch.int64)
        fill(batch, windows)
        return cut(codec.network.decode(batch.transpose(0, 1))[:, 0], windows)

    batcher = DynamicBatcher[Window, torch.Tensor](decode_batch, max_windows)
    return lambda window: batcher.submit(window, window.length)


def windows_of(frames: int, at_once: bool) -> list[Window]:
    """What a stream's reader has decoded that reads as fast as it is spoken."""
    asked: list[Window] = []

    def note(window: Window) -> "Future[torch.Tensor]":
        asked.append(window)
        done = Future[torch.Tensor]()
        done.set_result(torch.zeros(window.frames * HOP))
        return done

    decoder = WaveformDecoder(note, buckets.MAX_CHUNK)
    first = MAX_CHUNK if at_once else max(FIRST_CHUNK, decoder.ahead + FIRST_SOUND)
    single = (random_codes(1) for _ in range(frames))
    for codes in Playback(clock=lambda: 0.0).chunks(single, first, decoder.ahead):
        decoder.push(codes)
    decoder.push(random_codes(0), last=True)
    return asked


def test_the_lengths_are_those_that_playback_asks_for() -> None:
    asked = windows_of(2 * 12 + 24 + 48 + 96 + 3 * 128, at_once=False)
    assert [window.frames for window in asked] == [12, 24, 44, 68, 116, 148, 148, 148, 20]
    assert [window.length for window in asked] == [12, 24, 44, 68, 148, 148, 148, 148, 24]
    assert [window.length for window in windows_of(300, at_once=True)] == [148, 148, 68, 24]
    assert buckets.MAX_CHUNK == MAX_CHUNK and max(LENGTHS) == MAX_CHUNK + 20


def test_buckets_are_few_and_no_batch_is_larger() -> None:
    assert [max_windows(length) for length in LENGTHS] == [16, 8, 4, 4, 2]
    assert len(all_buckets()) == 5 + 4 + 3 + 3 + 2
    assert max(rows * length for length, rows in all_buckets()) <= MAX_BATCH
    assert [windows_around(count) for count in (1, 2, 3, 4, 5, 16)] == [1, 2, 4, 4, 8, 16]


@pytest.mark.parametrize(
    ("frames", "first", "last", "length", "offset"),
    [
        (12, True, False, 12, 0),
        (13, True, False, 24, 0),
        (20, False, True, 24, 4),
        (30, False, False, 44, 0),
        (148, False, True, 148, 0),
        (15, True, True, 15, 0),
        (149, False, False, 149, 0),
    ],
)
def test_what_fills_a_bucket_stands_where_it_is_not_heard(
    frames: int, first: bool, last: bool, length: int, offset: int
) -> None:
    window = Window(random_codes(frames), first, last)
    assert (window.length, window.offset) == (length, offset)


@pytest.mark.parametrize("pieces", [[12, 24, 48, 7], [128, 128, 1], [12, 3], [9], [300], [40, 0, 13]])
def test_streamed_in_buckets_is_decoded_whole(codec: WaveformCodec, pieces: list[int]) -> None:
    codes = random_codes(sum(pieces))
    decoder = WaveformDecoder(in_buckets(codec), buckets.MAX_CHUNK)
    samples = [decoder.push(piece) for piece in codes.split(pieces, dim=1)]
    samples.append(decoder.push(codes[:, :0], last=True))
    np.testing.assert_allclose(np.concatenate(samples), decode(codec, codes), rtol=0, atol=CLOSE)


def test_streams_decoded_together_are_those_decoded_alone(codec: WaveformCodec) -> None:
    clips = [random_codes(20 + 7 * seed, seed) for seed in range(12)]
    decode_window = in_buckets(codec)

    def pushed(clip: torch.Tensor) -> np.ndarray:
        decoder = WaveformDecoder(decode_window, buckets.MAX_CHUNK)
        return np.concatenate([decoder.push(clip), decoder.push(clip[:, :0], last=True)])

    with ThreadPoolExecutor(12) as pool:
        decoded = list(pool.map(pushed, clips))
    for clip, samples in zip(clips, decoded, strict=True):
        np.testing.assert_allclose(samples, decode(codec, clip), rtol=0, atol=CLOSE)


@pytest.fixture
def waiting() -> Iterator["Future[torch.Tensor]"]:
    """A window's turn that doesn't come."""
    future = Future[torch.Tensor]()
    yield future
    future.cancel()


def test_a_push_that_waits_is_given_up_and_later_ones_too(waiting: "Future[torch.Tensor]") -> None:
    asked = threading.Event()

    def queue(window: Window) -> "Future[torch.Tensor]":
        asked.set()
        return waiting

    decoder = WaveformDecoder(queue, MAX_WINDOW)
    with ThreadPoolExecutor(1) as pool:
        pushed = pool.submit(decoder.push, random_codes(12))
        assert asked.wait(10)
        decoder.cancel()
        with pytest.raises(Cancelled):
            pushed.result(10)
    late = WaveformDecoder(lambda window: Future(), MAX_WINDOW)
    late.cancel()
    with pytest.raises(Cancelled):
        late.push(random_codes(12))


@pytest.mark.parametrize("code", [-1, 1024])
def test_a_code_that_is_none_never_reaches_the_device(codec: WaveformCodec, code: int) -> None:
    """There, a wrong index would end all streams."""
    codes = random_codes(12)
    codes[3, 5] = code
    with pytest.raises(ModelError, match="code"):
        codec._decode_in_batch(Window(codes, True, False))
