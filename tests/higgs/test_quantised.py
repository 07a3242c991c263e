"""Matrices of 8 bits: as near as 8 bits are, the same in every path, refused where they can't be served."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from errors import DoesNotFit, StartError
from higgs.engine.fused_decode import FusedDecode
from higgs.engine.kv_cache import SlotCache
from higgs.engine.memory import plan_memory, weight_bytes
from higgs.model.checkpoint import load_model
from higgs.model.config import HIGGS_V3, HiggsConfig
from higgs.model.quantised import KINDS, QuantisedLinear, check_weights, quantise, quantise_linears
from higgs.model.transformer import HiggsModel
from tests.tiny import CONFIG, random_weights

CPU = torch.device("cpu")
FREE_8_GIB, FREE_12_GIB = (int(0.95 * gibibytes * 2**30) for gibibytes in (8, 12))


def tiny() -> HiggsModel:
    model = HiggsModel(CONFIG)
    model.load_state_dict(random_weights(CONFIG))
    return model.eval().requires_grad_(False)


def dequantised(model: HiggsModel) -> HiggsModel:
    """A plain model that holds the numbers of a quantised one."""
    plain = tiny()
    for name, module in model.named_modules():
        if isinstance(module, QuantisedLinear):
            plain.get_submodule(name).weight.data = module.weight.float() * module.scale[:, None]
    return plain


@torch.inference_mode()
def step(model: HiggsModel) -> torch.Tensor:
    cache = SlotCache(CONFIG, 3, 64)
    cache.data.copy_(torch.randn(cache.data.shape, generator=torch.Generator().manual_seed(1)))
    columns = torch.arange(24).view(3, 8)
    return FusedDecode(model, cache)(columns, torch.tensor([3, 60, 17]), 64)


def test_a_number_is_off_by_half_a_step_at_most() -> None:
    weight = torch.randn(50, 300) * torch.logspace(-3, 3, 50)[:, None]
    weight[7] = 0
    whole, scale = quantise(weight, KINDS["int8"])
    assert ((whole * scale[:, None] - weight).abs() <= scale[:, None] * 0.501).all()
    floating, scale = quantise(weight, KINDS["fp8"])
    error = (floating.float() * scale[:, None] - weight).abs()
    assert (error <= torch.maximum(weight.abs() / 16, scale[:, None] * 2**-9)).all()


@pytest.mark.parametrize("kind", list(KINDS))
def test_both_paths_compute_with_the_quantised_numbers(kind: str) -> None:
    model = tiny()
    quantise_linears(model.model.layers, KINDS[kind])
    plain = dequantised(model)
    ids = torch.arange(20)[None]
    inputs = model.embed(ids, torch.zeros(1, 20, 8, dtype=torch.int64), ids > 9)
    hidden = [each(inputs, ids > 9, ids) for each in (model, plain)]
    torch.testing.assert_close(hidden[0], hidden[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(step(model), step(plain), rtol=1e-4, atol=1e-4)


def test_reading_is_the_same_once_the_matrices_are_joined() -> None:
    model = tiny()
    quantise_linears(model.model.layers, KINDS["int8"])
    joined = deepcopy(model)
    step(joined)
    for before, after in zip(model.parameters(), joined.parameters(), strict=True):
        assert torch.equal(before, after)


def test_a_folder_is_quantised_as_it_is_read(tmp_path: Path) -> None:
    save_file(random_weights(CONFIG), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG.to_native_dict()), "utf-8")
    loaded = load_model(tmp_path, CPU, torch.float32, weights="int8")
    expected = tiny()
    quantise_linears(expected.model.layers, KINDS["int8"])
    for (name, found), (_, wanted) in zip(
        loaded.state_dict().items(), expected.state_dict().items(), strict=True
    ):
        assert torch.equal(found, wanted), name


def test_without_a_gpu_it_is_refused_with_a_remedy() -> None:
    check_weights("bf16", CPU)
    for kind in KINDS:
        with pytest.raises(StartError, match="leave it at bf16"):
            check_weights(kind, CPU)


def test_the_account_of_memory_counts_8_bits() -> None:
    bf16, int8 = torch.bfloat16, KINDS["int8"]
    assert weight_bytes(HiggsConfig(), bf16, int8) == pytest.approx(5.83e9, rel=1e-3)
    with pytest.raises(DoesNotFit, match="HIGGS_WEIGHTS=int8, with which it fits"):
        plan_memory(HiggsConfig(), bf16, FREE_12_GIB, positions=8192)
    assert plan_memory(HiggsConfig(), bf16, FREE_12_GIB, positions=8192, kind=int8).slots >= 4
    assert plan_memory(HIGGS_V3, bf16, FREE_8_GIB, positions=8192, kind=int8).positions == 1024
    with pytest.raises(DoesNotFit) as refusal:
        plan_memory(HiggsConfig(), bf16, FREE_8_GIB, positions=8192, kind=int8)
    assert "int8" not in refusal.value.message
