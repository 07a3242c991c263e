"""The account of a GPU's memory, and what is served where it doesn't suffice or the hub isn't there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import HiggsAudioV2TokenizerConfig

from errors import DoesNotFit, HubError, StartError
from higgs.codecs.higgs_v2.buckets import all_buckets
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.devices import device_of
from higgs.engine.memory import (
    CODEC_GRAPHS,
    CODEC_WEIGHTS,
    CODEC_WORK,
    ENOUGH_SLOTS,
    MAX_SLOTS,
    MIN_PREFIX,
    PROMPT_GRAPHS,
    MemoryPlan,
    plan_memory,
    position_bytes,
)
from higgs.engine.model_runner import Buckets
from higgs.engine.prefill import PrefixCache
from higgs.loading import PUBLISHED_MODEL, LoadedModel, ModelRequest, load, load_auto
from higgs.model.config import HIGGS_V3, HiggsConfig
from higgs.model.weights import Uninitialised
from higgs.prompts.v2 import Prompt
from tests.tiny import CONFIG

BF16 = torch.bfloat16
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
USABLE = 0.95  # of a card, beside the driver's context


def plan(config: HiggsConfig, gibibytes: float, **wanted: Any) -> MemoryPlan:
    return plan_memory(config, BF16, int(USABLE * gibibytes * 2**30), **{"positions": 8192} | wanted)


@pytest.mark.parametrize("config", [HiggsConfig(), HIGGS_V3], ids=["3b", "v3"])
@pytest.mark.parametrize("gibibytes", [16, 24, 40, 80, 141])
def test_a_plan_never_asks_for_more_than_is_free(config: HiggsConfig, gibibytes: float) -> None:
    made = plan(config, gibibytes)
    assert sum(made.parts.values()) <= USABLE * gibibytes * 2**30
    assert made.parts.keys() == {"weights", "libraries", "codec", "slots", "prompts", "voices", "graphs"}
    assert ENOUGH_SLOTS <= made.slots <= MAX_SLOTS
    assert made.prefix_positions >= MIN_PREFIX
    assert made.parts["prompts"] == max(made.positions, 2048) * position_bytes(config, BF16)
    assert made.parts["voices"] == made.prefix_positions * position_bytes(config, BF16)


def test_the_numbers_are_those_of_the_published_models() -> None:
    assert plan(HiggsConfig(), 80).parts["weights"] == pytest.approx(10.75e9, rel=1e-3)
    assert position_bytes(HiggsConfig(), BF16) == 114_688
    ratios = {"downsampling_ratios": [8, 5, 4, 2, 3], "upsampling_ratios": [8, 5, 4, 2, 3]}
    config = {"acoustic_model_config": {"model_type": "dac"} | ratios}
    with torch.device("meta"), Uninitialised():
        network = CodecNetwork(
            HiggsAudioV2TokenizerConfig.from_dict(
                config | {"semantic_model_config": {"model_type": "hubert"}}
            )
        )
    assert 0.9 * CODEC_WEIGHTS < sum(weight.nbytes for weight in network.parameters()) < CODEC_WEIGHTS


def test_a_small_card_gets_fewer_positions_unless_they_were_asked_for() -> None:
    assert plan(HiggsConfig(), 16).positions == 2048
    assert plan(HiggsConfig(), 16, positions=4096, exact_positions=True).positions == 4096
    assert plan(HiggsConfig(), 16, slots=1).slots == 1


@pytest.mark.parametrize("gibibytes", [8, 12])
def test_a_card_that_is_too_small_is_told_so_with_numbers_and_a_remedy(gibibytes: int) -> None:
    with pytest.raises(DoesNotFit) as refusal:
        plan(HiggsConfig(), gibibytes)
    for word in ("10.8 GB", "HIGGS_MODEL=bundled", "HIGGS_MAX_POSITIONS", "least that works"):
        assert word in refusal.value.message
    with pytest.raises(DoesNotFit):
        plan(HiggsConfig(), 24, slots=64, exact_positions=True)


def test_graphs_are_counted_as_the_decoder_makes_them() -> None:
    made, alone = plan(HiggsConfig(), 80), plan(HiggsConfig(), 80, codec=False)
    assert len(all_buckets()) * 8 * 2**20 < CODEC_GRAPHS
    assert made.parts["codec"] == CODEC_WEIGHTS + CODEC_WORK + CODEC_GRAPHS and "codec" not in alone.parts
    graphs = Buckets(made.slots, made.positions, exact=False, any_length=True).all()
    assert made.parts["graphs"] == PROMPT_GRAPHS + len(graphs) * 8 * 2**20


def test_on_a_cpu_nothing_is_planned() -> None:
    assert plan_memory(CONFIG, torch.float32, None, positions=512) == MemoryPlan(8, 512, 1024, {})


class Filled:
    """What stands for keys and values; a copy of it fails where memory is short."""

    short = False

    def __init__(self, positions: int) -> None:
        self.shape = (1, positions)

    def clone(self) -> "Filled":
        if Filled.short:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self


def voice(number: int, positions: int) -> Prompt:
    ids = torch.full((positions + 1,), number)
    columns = torch.zeros(positions + 1, 8, dtype=torch.int64)
    return Prompt(ids, columns, torch.zeros(positions + 1, dtype=torch.bool), prefix=positions)


def test_kept_voices_go_before_another_is_copied_and_all_where_memory_runs_out() -> None:
    cache = PrefixCache(100)
    cache.keep(voice(1, 60), Filled(60))
    cache.keep(voice(2, 40), Filled(40))
    cache.keep(voice(3, 50), Filled(50))
    assert [cache.find(voice(*each)) is not None for each in ((1, 60), (2, 40), (3, 50))] == [
        False,
        True,
        True,
    ]
    cache.keep(voice(4, 101), Filled(101))
    assert cache.find(voice(4, 101)) is None and cache.find(voice(3, 50)) is not None
    Filled.short = True
    cache.keep(voice(5, 10), Filled(10))
    Filled.short = False
    assert cache.find(voice(3, 50)) is None and cache.find(voice(5, 10)) is None
    cache.keep(voice(6, 100), Filled(100))
    assert cache.find(voice(6, 100)) is not None


@pytest.mark.parametrize("failure", [HubError("no route to the hub"), DoesNotFit("8 GB are free")])
def test_auto_falls_back_to_the_bundled_model_and_says_why(
    failure: StartError, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def load(name: str) -> Any:
        asked.append(name)
        if name == PUBLISHED_MODEL:
            raise failure
        return name

    assert load_auto(CUDA, load) == ("bundled", failure.message)
    assert asked == [PUBLISHED_MODEL, "bundled"]
    assert "BUNDLED" in caplog.text and failure.message in caplog.text


def test_auto_serves_the_published_model_where_it_can_and_says_so_where_there_is_no_gpu() -> None:
    def load(name: str) -> Any:
        return name

    assert load_auto(CUDA, load) == (PUBLISHED_MODEL, None)
    name, why = load_auto(CPU, load)
    assert (name, PUBLISHED_MODEL in str(why)) == ("bundled", True)


def test_a_broken_model_is_no_reason_to_fall_back() -> None:
    def load(name: str) -> LoadedModel:
        raise StartError("The weights are not those of its config.json.")

    with pytest.raises(StartError, match="not those"):
        load_auto(CUDA, load)


def test_a_model_asked_for_by_name_that_the_hub_does_not_give_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    request = ModelRequest("someone/nothing", None, CPU, None, None, 512, False)
    with pytest.raises(HubError, match="someone/nothing"):
        load(request)
    with pytest.raises(StartError, match="no folder"):
        load(replace(request, name=str(tmp_path / "nowhere")))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_devices_that_are_not_there_are_refused_with_a_remedy() -> None:
    assert device_of("auto") == device_of("cpu") == CPU
    for name, remedy in (("cuda", "cpu or auto"), ("cuda:1", "cpu or auto"), ("mps", "Set it to cpu")):
        with pytest.raises(StartError, match=remedy):
            device_of(name)
