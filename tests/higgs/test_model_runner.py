"""What a step computes is as large as needed, and what it computes too much of changes nothing."""

from dataclasses import replace

import pytest
import torch

from higgs.cpu.sampler import model_runner_for
from higgs.engine.cuda_graphs import share_equal
from higgs.engine.fused_decode import FusedDecode
from higgs.engine.kv_cache import SlotCache
from higgs.engine.model_runner import Buckets, ModelRunner
from higgs.engine.sampler import SamplingOptions
from higgs.model.config import HiggsConfig
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


def test_a_graph_is_right_if_nearly_all_codes_or_numbers_are() -> None:
    codes = torch.arange(10)
    assert share_equal(codes, codes) == 1
    assert share_equal(codes + (codes > 7), codes) == pytest.approx(0.8)
    numbers = torch.linspace(-1, 1, 100)
    assert share_equal(numbers + 0.005, numbers) == 1
    assert share_equal(numbers + 0.02, numbers) == 0
    assert share_equal(numbers * torch.nan, numbers) == 0


def test_rows_and_positions_beyond_what_speaks_change_nothing() -> None:
    model = tiny_model()
    cache = SlotCache(CONFIG, 4, 200)
    decoder = ModelRunner(CONFIG, FusedDecode(model, cache), cache)
    filled = torch.randn(3, 20, 2, 2, 16, generator=torch.Generator().manual_seed(0))

    def columns(rows: int, length: int) -> torch.Tensor:
        decoder.start(0, filled, SamplingOptions(), 5, 30)
        steps = [decoder._write_step(rows, length)[:1] for _ in range(30)]
        return torch.cat(steps)

    expected = columns(1, 64)
    assert torch.equal(columns(4, 64), expected)
    assert torch.equal(columns(1, 200), expected)
    for _ in range(200):
        decoder.step(4, 30)
    assert torch.equal(columns(4, 200), expected), "idle rows stay within the cache"


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, generation=3)], ids=["v2", "v3"])
def test_compiled_columns_are_those_of_torch(config: HiggsConfig) -> None:
    """Streams that begin at different times, and that end by eos_code in whatever codebook."""
    generator = torch.Generator().manual_seed(2)
    script = 4 * torch.randn(60, 3, 8, 1026, generator=generator)
    script[..., config.eos_code] = torch.where(torch.rand(60, 3, 8, generator=generator) < 0.01, 30.0, -30.0)
    step = 0

    def path(columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        return script[step, : len(columns)].clone()

    cache = SlotCache(config, 3, 100)
    decoders = [ModelRunner(config, path, cache), model_runner_for(config, path, cache)]
    for decoder in decoders:
        for row in range(3):
            decoder.start(row, torch.zeros(3, 5 + row, 2, 2, 16), SamplingOptions(), row, 90)
    for step in range(60):
        if step == 30:
            for decoder in decoders:
                decoder.start(1, torch.zeros(3, 9, 2, 2, 16), SamplingOptions(temperature=0), 7, 60)
        one, other = (decoder.step(3 - step % 2, 10 + step).wait() for decoder in decoders)
        assert one == other
