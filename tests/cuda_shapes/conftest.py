"""The fake GPU, on which all checks of numbers pass."""

from collections.abc import Iterator

import pytest

from higgs.cuda import dac, decode, prefill, sampler
from higgs.engine import cuda_graphs
from tests.cuda_shapes.fake_cuda import Watch, fake_cuda


def pass_all_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all kernels and graphs serve, whatever their numbers are; a load sets which parts have graphs."""
    for module in (dac, decode, prefill):
        monkeypatch.setattr(module, "largest", lambda errors: 0.0)
    for module in (cuda_graphs, sampler):
        monkeypatch.setattr(module, "share_equal", lambda result, expected: 1.0)
    monkeypatch.setattr(cuda_graphs.Graphs, "parts", ("model", "codec"))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    pass_all_checks(monkeypatch)
    with fake_cuda(monkeypatch) as watch:
        yield watch
