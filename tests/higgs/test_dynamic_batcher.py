"""Calls of several threads that are computed as one batch."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from audio.frames import CODEBOOKS
from higgs.codecs.base import decode
from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.codecs.higgs_v2.dynamic_batcher import DynamicBatcher
from tests.tiny_codec import NATIVE


class Slow:
    """Doubles its rows; its first batch is held up until `go`. Fails at a negative number."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(rows))
        self.begun.set()
        assert self.go.wait(10)
        if (rows < 0).any():
            raise RuntimeError("a negative number")
        return 2 * rows


def behind_one(rows: list[torch.Tensor], max_elements: int = 1000) -> tuple[list, Slow]:
    """What calls with these rows come to that arrive while another is computed."""
    slow = Slow()
    together = DynamicBatcher(slow, max_elements)
    with ThreadPoolExecutor(len(rows) + 1) as pool:
        first = pool.submit(together, torch.zeros(9))
        assert slow.begun.wait(10)
        futures = [pool.submit(together, row) for row in rows]
        while len(together._waiting) < len(rows):
            pass
        slow.go.set()
        assert torch.equal(first.result(), torch.zeros(9))
        return [future.exception() or future.result() for future in futures], slow


def test_those_that_wait_are_computed_at_once_and_each_gets_its_own() -> None:
    rows = [torch.full((4,), float(i)) for i in range(5)]
    results, slow = behind_one(rows)
    assert slow.batches == [1, 5]
    assert all(torch.equal(result, 2 * row) for result, row in zip(results, rows, strict=True))


def test_only_rows_of_one_shape_share_a_batch_and_no_more_than_fit() -> None:
    rows = [torch.ones(4), torch.ones(2), torch.ones(4), torch.ones(4), torch.ones(2)]
    results, slow = behind_one(rows, max_elements=8)
    assert sorted(slow.batches) == [1, 1, 2, 2]
    assert [len(result) for result in results] == [4, 2, 4, 4, 2]


def test_a_row_that_fails_harms_nobody_else() -> None:
    results, slow = behind_one([torch.ones(4), -torch.ones(4), torch.ones(4)])
    assert [isinstance(result, RuntimeError) for result in results] == [False, True, False]
    assert slow.batches == [1, 3, 1, 1, 1]


def test_streams_decoded_together_are_close_to_those_decoded_alone() -> None:
    """What a codec on a GPU does with several streams; on a CPU a batch rounds otherwise."""
    codec = WaveformCodec.load(NATIVE)
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randint(1024, (CODEBOOKS, 30), generator=generator) for _ in range(8)]
    together = DynamicBatcher(codec._decode, max_elements=CODEBOOKS * 2000)
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(together, clips))
    for clip, samples in zip(clips, decoded, strict=True):
        np.testing.assert_allclose(samples, decode(codec, clip), rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_a_call_alone_waits_for_nobody(count: int) -> None:
    together = DynamicBatcher(lambda rows: rows + 1, max_elements=1)
    assert [float(together(torch.zeros(1))) for _ in range(count)] == [1.0] * count
