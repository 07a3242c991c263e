"""What a step computes is as large as needed, and what it computes too much of changes nothing."""

import torch

from higgs.audio_path import AudioPath
from higgs.cache import SlotCache
from higgs.decoder import Buckets, Decoder
from higgs.sampling import SamplingOptions
from tests.tiny import CONFIG, tiny_model


def test_an_exact_bucket_rounds_positions_only() -> None:
    exact = Buckets(rows=8, capacity=1000, exact=True)
    assert exact.around(3, 65) == (3, 128)
    assert exact.around(8, 999) == (8, 1000)


def test_the_buckets_of_graphs_are_powers_of_two_and_all_are_known() -> None:
    buckets = Buckets(rows=6, capacity=1000, exact=False)
    assert buckets.around(3, 65) == (4, 128)
    assert buckets.around(5, 600) == (6, 1000)
    known = buckets.all()
    assert len(known) == 4 * 5
    for rows in range(1, 7):
        for length in range(1, 1001):
            assert buckets.around(rows, length) in known


def test_rows_and_positions_beyond_what_speaks_change_nothing() -> None:
    model = tiny_model()
    cache = SlotCache(CONFIG, 4, 600)
    decoder = Decoder(CONFIG, AudioPath(model, cache), cache)
    filled = torch.randn(3, 20, 2, 2, 16, generator=torch.Generator().manual_seed(0))

    def columns(rows: int, length: int) -> torch.Tensor:
        decoder.start(0, filled, SamplingOptions(), 5, 30)
        steps = [decoder._write_columns(rows, length, 64)[:1] for _ in range(30)]
        return torch.cat(steps)

    expected = columns(1, 64)
    assert torch.equal(columns(4, 64), expected)
    assert torch.equal(columns(1, 600), expected)
    for _ in range(600):
        decoder.step(4, 30)
    assert torch.equal(columns(4, 600), expected), "idle rows stay within the cache"
