"""The model equals transformers' (live) and boson-multimodal's (recorded), and computes only what it must."""

from dataclasses import replace

import pytest
import torch
from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

from errors import StartError
from higgs.engine.kv_cache import KVCache
from higgs.model.config import HiggsConfig, RopeConfig
from higgs.model.transformer import HiggsModel
from tests.golden import lm_cases as cases
from tests.golden.lm_golden import boson_config, load_golden
from tests.tiny import CONFIG, tiny_model

SHAPES = {
    "llama3 rope, grouped heads": CONFIG,
    "plain rope": replace(CONFIG, rope=RopeConfig(theta=10_000.0, factor=1.0), kv_heads=4),
}


def voice_clone_prompt() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids [1, S], columns [1, S, 8] and mask [1, S] of the recorded prompt."""
    golden = load_golden()
    ids = golden["prompt.transcript.input_ids"][None]
    return ids, golden["prompt.transcript.columns"][None], ids == CONFIG.audio_token_id


def positions(count: int, start: int = 0) -> torch.Tensor:
    return torch.arange(start, start + count)[None]


def whole_pass(model: HiggsModel) -> torch.Tensor:
    """Hidden states [1, S, H] of the prompt in one pass without a cache."""
    ids, columns, mask = voice_clone_prompt()
    return model(model.embed(ids, columns, mask), mask, positions(ids.shape[1]))


@pytest.mark.parametrize("config", SHAPES.values(), ids=SHAPES.keys())
def test_logits_equal_transformers(config: HiggsConfig) -> None:
    model = tiny_model(config)
    native = HiggsAudioV2ForConditionalGeneration(HiggsAudioV2Config(**config.to_native_dict())).eval()
    native.load_state_dict(model.state_dict())
    ids, columns, mask = voice_clone_prompt()
    with torch.no_grad():
        theirs = native(
            input_ids=ids,
            audio_input_ids=columns[mask][None],
            audio_input_ids_mask=torch.ones(1, int(mask.sum()), dtype=torch.bool),
        ).logits
    assert (model.audio_logits(whole_pass(model)).flatten(-2) - theirs).abs().max() <= 1e-4


def test_logits_equal_bosons() -> None:
    model = tiny_model()
    _, _, mask = voice_clone_prompt()
    ours = model.audio_logits(whole_pass(model)[mask])[list(cases.LOGIT_POSITIONS)]
    golden = load_golden()["logits"]
    assert golden.abs().max() > 1
    assert (ours - golden).abs().max() <= 1e-4


def test_a_cached_pass_in_pieces_equals_a_whole_one() -> None:
    model = tiny_model()
    ids, columns, mask = voice_clone_prompt()
    embeddings = model.embed(ids, columns, mask)
    cache = KVCache(CONFIG, ids.shape[1])
    audio = int(mask[0].nonzero()[0])
    ends = [audio, audio + 3, audio + 4, ids.shape[1]]
    pieces = []
    for start, end in zip([0, *ends], ends, strict=False):
        part = mask[:, start:end]
        pieces.append(
            model(
                embeddings[:, start:end], None if part.all() else part, positions(end - start, start), cache
            )
        )
    assert cache.length == ids.shape[1]
    assert (torch.cat(pieces, dim=1) - whole_pass(model)).abs().max() <= 1e-5


def test_decoding_touches_no_text_path() -> None:
    model = tiny_model()
    column = torch.full((1, 1, 8), CONFIG.bos_code)
    before = model(model.embed_audio(column), None, positions(1))
    for name, weight in model.named_parameters():
        if "embed_tokens" in name or ".mlp." in name or ".input_" in name or ".post_attention" in name:
            weight.fill_(float("nan"))
    assert torch.equal(model(model.embed_audio(column), None, positions(1)), before)


def test_it_trains_in_bfloat16() -> None:
    model = HiggsModel(CONFIG)
    ids, columns, mask = voice_clone_prompt()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model.audio_logits(model(model.embed(ids, columns, mask), mask, positions(ids.shape[1])))
    logits.float().logsumexp(-1).mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all() and weight.grad.any(), name


def test_a_config_survives_both_layouts() -> None:
    assert HiggsConfig.from_dict(CONFIG.to_native_dict()) == CONFIG
    native = HiggsAudioV2Config(**CONFIG.to_native_dict())
    assert HiggsConfig.from_dict(native.to_dict()) == CONFIG
    boson = HiggsConfig.from_dict(boson_config())
    assert boson == replace(CONFIG, audio_delay_token_id=HiggsConfig.audio_delay_token_id)


def test_the_defaults_are_the_published_models() -> None:
    native = HiggsAudioV2Config(codebook_size=1026)
    assert native.hidden_size == HiggsConfig.hidden_size
    assert HiggsConfig.from_dict({"model_type": "higgs_audio_v2"}) == HiggsConfig()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model_type": "llama"}, "llama"),
        ({"audio_dual_ffn_layers": [0]}, "dual FFN"),
        ({"audio_adapter_type": "stack"}, "dual FFN"),
        ({"use_delay_pattern": False}, "delay"),
        ({"audio_embed_avg": True}, "summed"),
    ],
)
def test_models_of_another_kind_are_refused(change: dict, word: str) -> None:
    with pytest.raises(StartError, match=word):
        HiggsConfig.from_dict(boson_config() | change)
