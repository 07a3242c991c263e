"""The compiled path computes what FusedDecode does; weights that bfloat16 holds are kept so."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from higgs.cpu.cache import PanelCache
from higgs.cpu.decode import CompiledDecode, CompiledPrefill, serves
from higgs.cpu.intrinsics import PANEL
from higgs.cpu.kernels import exponential
from higgs.cpu.packing import halves, pack
from higgs.engine.fused_decode import FusedDecode
from higgs.engine.kv_cache import KVCache, SlotCache
from higgs.engine.prefill import Prefill
from higgs.model.config import HiggsConfig
from higgs.model.transformer import HiggsModel
from higgs.model.weights import Uninitialised
from higgs.prompts.v2 import Prompt
from tests.tiny import CONFIG, random_weights

LENGTH, CAPACITY = 150, 200
V3 = replace(CONFIG, generation=3, dual_ffn=False, qk_norm=True, tied_head=True)
WIDE_HEADS = replace(CONFIG, heads=2, kv_heads=2, head_dim=96)


def model_of(config: HiggsConfig, halved: bool) -> HiggsModel:
    model = HiggsModel(config)
    model.load_state_dict(random_weights(config))
    if halved:
        model = model.bfloat16().float()
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("config", [CONFIG, V3, WIDE_HEADS], ids=["v2", "v3", "wide heads"])
@torch.inference_mode()
def test_logits_equal_those_of_the_audio_path(config: HiggsConfig, halved: bool) -> None:
    model = model_of(config, halved)
    assert serves(model)
    plain, panels = SlotCache(config, 4, CAPACITY), PanelCache(config, 4, CAPACITY, halved)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([1, PANEL - 1, PANEL, LENGTH])
    for row, length in enumerate(lengths.tolist()):
        filled = torch.randn(3, length, 2, config.kv_heads, config.head_dim, generator=generator)
        plain.load(row, filled)
        panels.load(row, filled)
    panels.move(3, 0, LENGTH)
    plain.move(3, 0, LENGTH)
    lengths[0] = LENGTH
    expected, compiled = FusedDecode(model, plain), CompiledDecode(model, panels)
    for step in range(3):
        columns = torch.randint(0, 1026, (4, 8), generator=generator)
        logits = compiled(columns, lengths + step, CAPACITY)
        error = logits - expected(columns, lengths + step, CAPACITY)
        assert error.abs().max() < (0.03 if halved else 1e-4), "keys and values in float16, or in float32"


@pytest.mark.parametrize("config", [CONFIG, V3, WIDE_HEADS], ids=["v2", "v3", "wide heads"])
@torch.inference_mode()
def test_prompts_leave_the_keys_and_values_that_the_model_leaves(config: HiggsConfig) -> None:
    """Whole, in pieces, and behind a prefix that is kept."""
    model = model_of(config, halved=False)
    generator = torch.Generator().manual_seed(4)
    ids, mask = torch.randint(0, 250, (LENGTH,), generator=generator), torch.arange(LENGTH) % 7 > 2
    prompt = Prompt(ids, torch.randint(0, 1026, (LENGTH, 8), generator=generator), mask, prefix=70)
    plain = Prefill(model, KVCache(config, CAPACITY), 0)
    panels = PanelCache(config, 1, CAPACITY, half=False)
    reader = CompiledPrefill(model, CompiledDecode(model, panels), kept_positions=100)
    known = []
    for _ in range(2):
        for each in (plain, reader):
            reading = each.begin(prompt)
            assert not each.has_room(prompt), "a CPU gains nothing by several prompts a pass"
            while not reading.complete:
                each.run_pass([reading])
            each.end(reading)
        known.append(reader.filled(reading).clone())
    assert reader.prefilled_positions == 2 * LENGTH - 70 and plain.prefilled_positions == 2 * LENGTH
    assert np.array_equal(known[0].values, known[1].values)
    panels.load(0, plain.cache.filled())
    expected = panels.filled(0, LENGTH)
    for kept, wanted in zip(known[1], expected, strict=True):
        assert np.abs(kept - wanted).max() < 1e-4


def test_packing_loses_nothing_that_is_in_bfloat16() -> None:
    matrix = torch.randn(5, PANEL + 3).bfloat16().float().numpy()
    assert halves(matrix) and not halves(matrix + np.float32(1e-7))
    packed = pack(matrix, halve=True)
    assert packed.shape == (2, 5, PANEL) and packed.dtype == np.uint16
    back = (packed.astype(np.uint32) << 16).view(np.float32).transpose(1, 0, 2).reshape(5, -1)
    assert np.array_equal(back[:, : PANEL + 3], matrix) and not back[:, PANEL + 3 :].any()


def test_the_exponential_is_exact_to_the_last_bits() -> None:
    for x in np.linspace(-86, 0, 999, dtype=np.float32):
        assert exponential(x) == pytest.approx(np.exp(np.float64(x)), rel=3e-7)
    assert exponential(np.float32(-1e9)) < 1e-37


def test_large_models_are_left_to_torch() -> None:
    with torch.device("meta"), Uninitialised():
        assert not serves(HiggsModel(replace(CONFIG, layers=1, hidden_size=4096, intermediate_size=8192)))
