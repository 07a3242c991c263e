"""The published checkpoints: all names, shapes and ids, in every mix of config and file layout.

Covers what only a download would show else: a renamed tensor, a config of one layout beside weights of
another, an id that stands elsewhere in the real tokenizer. No weights are needed: see tests.published.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    HiggsAudioV2Config,
    HiggsAudioV2ForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
)

from bench.expected import expected_columns, greedy_codes
from higgs.codecs.base import load_codec
from higgs.codecs.higgs_v2.checkpoint import load_network
from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.model.checkpoint import load_config, load_model
from higgs.model.config import HIGGS_V3, HiggsConfig
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import PromptBuilder, Reference
from tests.golden.lm_golden import boson_config, load_golden
from tests.higgs.test_engine import clone_prompt
from tests.published import (
    Shapes,
    read_shapes,
    read_special_tokens,
    sparse_folder,
    write_pickled,
    write_safetensors,
)
from tests.tiny import ALPHABET, tiny_model
from tests.tiny_codec import NATIVE as TINY_NATIVE_CODEC
from tests.tiny_v3 import INNER_CODEC
from tests.tiny_v3 import config_json as tiny_v3_config

BOS = 1024
META = torch.device("meta")


@pytest.fixture
def folder() -> Iterator[Path]:
    with sparse_folder() as folder:
        yield folder


def shapes_of(model: torch.nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def native_lm() -> Shapes:
    """What transformers' own class holds."""
    with META:
        model = HiggsAudioV2ForConditionalGeneration(HiggsAudioV2Config(**HiggsConfig().to_native_dict()))
    return shapes_of(model)


def boson_lm() -> Shapes:
    return read_shapes("higgs-v2-3b.tsv")


def native_lm_config() -> dict:
    return HiggsConfig().to_native_dict()


def boson_lm_config() -> dict:
    """boson's config.json of the 3B: the recorded one of the tiny model, with the published sizes."""
    config, shape = boson_config(), HiggsConfig()
    config["text_config"] |= {
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "max_position_embeddings": shape.max_positions,
        "eos_token_id": shape.eos_token_id,
    }
    ids = {"audio_out_token_idx": 128_016, "audio_out_bos_token_id": 128_013, "pad_token_id": 128_001}
    return config | ids | {"audio_dual_ffn_layers": list(range(shape.layers))}


@pytest.mark.parametrize("weights", [boson_lm, native_lm], ids=["boson's names", "transformers' names"])
@pytest.mark.parametrize("config", [boson_lm_config, native_lm_config], ids=["boson's", "transformers'"])
def test_all_tensors_of_the_3b_are_found(
    folder: Path, config: Callable[[], dict], weights: Callable[[], Shapes]
) -> None:
    (folder / "config.json").write_text(json.dumps(config()), "utf-8")
    write_safetensors(folder / "model.safetensors", weights())
    model = load_model(folder, META, torch.bfloat16)
    assert model.config == HiggsConfig()
    assert len(boson_lm()) == 397
    assert sum(weight.nbytes for weight in model.parameters()) == pytest.approx(10.75e9, rel=1e-3)


def test_all_shards_of_the_3b_are_found(folder: Path) -> None:
    shapes = list(boson_lm().items())
    places: dict[str, str] = {}
    for number in range(3):
        shard = f"model-0000{number + 1}-of-00003.safetensors"
        write_safetensors(folder / shard, dict(shapes[number::3]))
        places |= dict.fromkeys(dict(shapes[number::3]), shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}), "utf-8")
    (folder / "config.json").write_text(json.dumps(boson_lm_config()), "utf-8")
    load_model(folder, META, torch.bfloat16)


def boson_codec_config() -> dict:
    tiny = json.loads((TINY_NATIVE_CODEC.parent / "codec_boson" / "config.json").read_text("utf-8"))
    return tiny | {"n_filters": 32, "D": 256, "codebook_dim": 64}


def native_codec_config() -> dict:
    """The defaults of transformers' class are the published codec."""
    ratios = {"downsampling_ratios": [8, 5, 4, 2, 3], "upsampling_ratios": [8, 5, 4, 2, 3]}
    return {
        "model_type": "higgs_audio_v2_tokenizer",
        "acoustic_model_config": {"model_type": "dac"} | ratios,
        "semantic_model_config": {"model_type": "hubert"},
    }


def boson_codec() -> Shapes:
    return read_shapes("higgs-v2-codec.tsv")


def native_codec(folder: Path) -> Shapes:
    """The names under which transformers saved the tiny codec, for HuBERT's twelve layers, in full size."""
    write_pickled(folder / "model.pth", boson_codec())
    (folder / "config.json").write_text(json.dumps(native_codec_config()), "utf-8")
    wanted = shapes_of(load_network(folder))
    for file in folder.iterdir():
        file.unlink()
    with safe_open(TINY_NATIVE_CODEC / "model.safetensors", framework="pt") as file:
        saved = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    layer = "semantic_model.encoder.layers.0."
    of_a_layer = [name for name in saved if name.startswith(layer)]
    for number in range(2, 12):
        saved |= {name.replace(".0.", f".{number}."): saved[name] for name in of_a_layer}
    convolution = "semantic_model.encoder.pos_conv_embed.conv."
    full: Shapes = {convolution + "parametrizations.weight.original0": (1, 1, 128)}
    full[convolution + "parametrizations.weight.original1"] = wanted[convolution + "weight"]
    shapes = {name: full.get(name) or wanted.get(name) or shape for name, shape in saved.items()}
    assert wanted.keys() - shapes.keys() == {convolution + "weight"}
    return shapes


def test_all_tensors_of_model_pth_are_found(folder: Path) -> None:
    write_pickled(folder / "model.pth", boson_codec())
    (folder / "config.json").write_text(json.dumps(boson_codec_config()), "utf-8")
    network = load_network(folder)
    assert len(boson_codec()) == 602
    assert len(network.state_dict()) == 486


# The hub's repository has been each of these: see reference, "Published checkpoints", item 1.
@pytest.mark.parametrize("beside", [None, boson_lm, native_lm], ids=["alone", "boson's 3B", "the native 3B"])
@pytest.mark.parametrize("layout", ["boson", "native"])
@pytest.mark.parametrize(
    "config",
    [boson_codec_config, native_codec_config, native_lm_config],
    ids=["boson's config", "transformers' config", "the 3B's config"],
)
def test_the_codec_is_found_whatever_stands_beside_it(
    folder: Path, config: Callable[[], dict], layout: str, beside: Callable[[], Shapes] | None
) -> None:
    if layout == "boson":
        write_pickled(folder / "model.pth", boson_codec())
    else:
        write_pickled(folder / "model.pth", native_codec(folder))
    if beside is not None:
        write_safetensors(folder / "model.safetensors", beside())
    (folder / "config.json").write_text(json.dumps(config()), "utf-8")
    codec = load_codec(str(folder), META)
    assert isinstance(codec, WaveformCodec)
    assert len(codec.network.state_dict()) == 486


def test_transformers_own_file_of_the_codec_is_found(folder: Path) -> None:
    write_safetensors(folder / "model.safetensors", native_codec(folder), "F32")
    (folder / "config.json").write_text(json.dumps(native_codec_config()), "utf-8")
    load_codec(str(folder), META)


def test_all_tensors_of_v3_are_found(folder: Path) -> None:
    """The names as SGLang-Omni, vLLM-Omni and mlx-audio map them; the backbone's are transformers'."""
    text = tiny_v3_config()["text_config"] | {
        "vocab_size": HIGGS_V3.vocab_size,
        "hidden_size": HIGGS_V3.hidden_size,
        "intermediate_size": HIGGS_V3.intermediate_size,
        "num_hidden_layers": HIGGS_V3.layers,
        "num_attention_heads": HIGGS_V3.heads,
        "num_key_value_heads": HIGGS_V3.kv_heads,
        "max_position_embeddings": HIGGS_V3.max_positions,
        "rms_norm_eps": HIGGS_V3.rms_norm_eps,
    }
    del text["head_dim"]
    with META:
        backbone = shapes_of(Qwen3Model(Qwen3Config(**text, rope_parameters={"rope_theta": 1_000_000.0})))
    shapes = {f"body.{name}": shape for name, shape in backbone.items() if not name.startswith("embed")}
    shapes["tied.embedding.text_embedding.weight"] = (151_936, 2560)
    shapes["tied.embedding.modality_embeddings.0.embedding.weight"] = (8 * 1026, 2560)
    shapes["tied.head.text_head.weight"] = (151_936, 2560)
    shapes["tied.head.modality_heads.0.weight"] = (8 * 1026, 2560)
    shapes |= {INNER_CODEC + name: shape for name, shape in native_codec(folder).items()}
    write_safetensors(folder / "model.safetensors", shapes)
    config = tiny_v3_config() | {"text_config": text}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    tokens = [{"content": "<|audio|>", "id": HIGGS_V3.audio_bos_token_id}]
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}), "utf-8")
    assert load_config(folder) == HIGGS_V3
    model = load_model(folder, META, torch.bfloat16)
    assert isinstance(model, HiggsModel)
    codec = load_codec(str(folder), META)
    assert isinstance(codec, WaveformCodec) and len(codec.network.state_dict()) == 486


@pytest.fixture(scope="module")
def published_tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte, and the special tokens under the ids that they have in the published tokenizer.json."""
    special = read_special_tokens()
    first = min(special.values())
    vocabulary = {byte: number for number, byte in enumerate(ALPHABET)}
    vocabulary |= {f"unused{number}": number for number in range(len(ALPHABET), first)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    names = {number: name for name, number in special.items()}
    last = max(special.values())
    tokenizer.add_special_tokens([names.get(n, f"<|reserved_{n}|>") for n in range(first, last + 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_the_prompt_of_the_published_model_has_its_ids(published_tokenizer: PreTrainedTokenizerFast) -> None:
    codes = torch.arange(8 * 5).view(8, 5)
    prompt = PromptBuilder(published_tokenizer, HiggsConfig()).speech(
        "<SE>ha</SE>", [Reference(codes, "Hm.")]
    )

    def said(text: str) -> list[int]:
        return [ALPHABET.index(letter) for letter in text.replace("\n", "Ċ").replace(" ", "Ġ")]

    begin, end = 128_006, 128_007
    opening = [128_000, begin, *said("system"), end, *said("\n\nGenerate audio following instruction.\n\n")]
    scene = [128_018, *said("\nAudio is recorded from a quiet room.\n"), 128_019, 128_009]
    asked = [begin, *said("user"), end, *said("\n\nHm."), 128_009]
    answer = [begin, *said("assistant"), end, *said("\n\n"), 128_013]
    spoken = [*[128_016] * (5 + 9), 128_012, 128_009]
    text = [begin, *said("user"), end, *said("\n\n"), 128_022, *said("ha"), 128_023, 128_009]
    assert prompt.input_ids.tolist() == [*opening, *scene, *asked, *answer, *spoken, *text, *answer]
    assert prompt.audio_mask.sum() == 5 + 9
    assert prompt.input_ids[prompt.audio_mask].unique().tolist() == [HiggsConfig().audio_token_id]


def test_the_ids_of_the_config_are_those_of_the_published_tokenizer() -> None:
    special, config = read_special_tokens(), HiggsConfig()
    assert special["<|AUDIO_OUT|>"] == config.audio_token_id
    assert special["<|audio_out_bos|>"] == config.audio_bos_token_id
    assert special["<|end_of_text|>"] == config.pad_token_id
    assert special["<|eot_id|>"] == config.eos_token_id


def test_the_expected_codes_are_checked_behind_the_columns_before_them() -> None:
    """bench.expected on the tiny model: what the engine writes greedily is what the check expects."""
    golden, prompt = load_golden()["greedy"], clone_prompt()
    codes = greedy_codes(tiny_model(), prompt, golden)
    drawn = golden[1:] != BOS
    assert torch.equal(codes[drawn], golden[1:][drawn])
    assert expected_columns().shape == (50, 8)
    assert (expected_columns() == BOS).sum() == 8 + 7 * 8 // 2
