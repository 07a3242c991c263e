"""A training step of the second recipe on cuda:0: devices, shapes, and no wait for the GPU in it."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
from higgs.model.config import HiggsConfig
from higgs.model.transformer import HiggsModel
from tests.train.test_v2 import config, example, examples  # noqa: F401  # fixtures
from train.examples import Example
from train.v2.batches import packed, unpacked
from train.v2.language_model import Schedule, Trainer

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="needs torch's CUDA build")


def fake_backward(trainer: Trainer) -> None:
    """The engine that goes backwards needs a GPU."""
    for part in (*trainer.model.parameters(), *trainer.copying.parameters()):
        part.grad = torch.zeros_like(part)


@pytest.mark.usefixtures("watch")
def test_a_step_never_waits_for_the_gpu(
    config: HiggsConfig,  # noqa: F811
    example: Example,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = HiggsModel(config).train().requires_grad_()
    trainer = Trainer(model, Schedule.of_gpu(1.0), tmp_path / "lm2.pt", "cuda")
    monkeypatch.setattr(torch.Tensor, "backward", lambda _: fake_backward(trainer))
    batch = unpacked(packed(example), pin=False).to("cuda")
    for _ in range(20):
        parts = trainer._update(batch, 0.5)
    assert all(part.is_cuda for part in parts.values())
    assert all(part.is_cuda for part in trainer.average.values())
    assert trainer.judged([batch])["reading"].is_cuda
