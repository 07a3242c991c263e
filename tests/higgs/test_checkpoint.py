"""Loading from files: both layouts, every file format, and errors that name what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import HiggsAudioV2ForConditionalGeneration

from errors import StartError
from higgs.engine.sampler import SamplingOptions
from higgs.model.checkpoint import find, find_codec, load_checkpoint, load_defaults
from higgs.model.licence import V2_LICENCE, Licence, licence_of
from tests import tiny
from tests.golden.lm_golden import boson_config, boson_names


@pytest.fixture
def native(tmp_path: Path) -> Path:
    """A model folder in the native layout, with an empty codec folder."""
    folder = tiny.write_tiny_model(tmp_path / "native")
    (folder / "codec").mkdir()
    return folder


@pytest.fixture
def boson(native: Path) -> Path:
    """The same model in boson's layout, as its recorded names and config say."""
    weights = tiny.random_weights(tiny.CONFIG)
    renamed = {}
    for name in boson_names():
        path = name.removeprefix("audio_decoder_proj.")
        path = path.replace("audio_codebook_embeddings.", "embed_audio_tokens.embed_audio_tokens.")
        unused = torch.zeros(tiny.CONFIG.vocab_size, tiny.CONFIG.hidden_size)
        renamed[name] = weights.get(path, weights.get(f"model.{path}", unused))
    (native / "model.safetensors").unlink()
    (native / "config.json").write_text(json.dumps(boson_config()), "utf-8")
    save_file(renamed, native / "model.safetensors")
    return native


def assert_loads(folder: Path) -> None:
    """The folder holds the tiny model's very weights."""
    loaded = load_checkpoint(str(folder))
    expected = tiny.random_weights(tiny.CONFIG)
    state = loaded.model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert torch.equal(loaded.model.model.rotary.inverse, tiny.tiny_model().model.rotary.inverse)
    assert loaded.codec == folder / "codec"


def test_the_native_layout(native: Path) -> None:
    assert_loads(native)


def test_bosons_layout(boson: Path) -> None:
    assert_loads(boson)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pth"])
def test_pickled_weights(native: Path, name: str) -> None:
    weights = native / "model.safetensors"
    torch.save(load_file(weights), native / name)
    weights.unlink()
    assert_loads(native)


def test_sharded_weights(native: Path) -> None:
    tensors = load_file(native / "model.safetensors")
    (native / "model.safetensors").unlink()
    places = {name: f"model-0000{1 + place % 2}-of-00002.safetensors" for place, name in enumerate(tensors)}
    for shard in set(places.values()):
        save_file({name: tensors[name] for name in tensors if places[name] == shard}, native / shard)
    index = native / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}), "utf-8")
    assert_loads(native)
    (native / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(StartError, match="00002"):
        load_checkpoint(str(native))


def test_transformers_reads_what_we_write(native: Path) -> None:
    theirs = HiggsAudioV2ForConditionalGeneration.from_pretrained(native).state_dict()
    assert all(torch.equal(theirs[name], weight) for name, weight in tiny.random_weights(tiny.CONFIG).items())


def test_the_type_of_the_weights_can_be_chosen(native: Path) -> None:
    model = load_checkpoint(str(native), dtype=torch.bfloat16).model
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert model.model.rotary.inverse.dtype == torch.float32


def test_the_models_own_sampling_is_its_default(native: Path) -> None:
    assert load_defaults(native) == SamplingOptions()
    path = native / "generation_config.json"
    path.write_text("{}", "utf-8")
    assert load_defaults(native) == SamplingOptions(temperature=0.3, top_k=50, top_p=0.95)
    path.write_text(json.dumps({"temperature": 0.7, "top_k": 0, "ras_win_len": 5}), "utf-8")
    assert load_defaults(native) == SamplingOptions(temperature=0.7, top_k=None, ras_window=5)
    path.write_text(json.dumps({"do_sample": False}), "utf-8")
    assert load_defaults(native).temperature == 0
    path.write_text(json.dumps({"temperature": "warm"}), "utf-8")
    with pytest.raises(StartError, match="generation_config"):
        load_defaults(native)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: other\nlicense_name: boson-higgs-audio-2-community\n---\n# A model\n", V2_LICENCE),
        ("---\nlicense: other\n---\n# A model\n", V2_LICENCE),
        ("---\nlicense: apache-2.0\n---\n", Licence("apache-2.0")),
        ("# A model\n", None),
        ("---\nlicense: [\n---\n", None),
    ],
)
def test_the_licence_is_that_of_the_model_card(native: Path, card: str, licence: Licence | None) -> None:
    assert licence_of(native, generation=2) is None
    (native / "README.md").write_text(card, "utf-8")
    assert licence_of(native, generation=2) == licence


def test_a_codec_that_is_asked_for_comes_first(native: Path, tmp_path: Path) -> None:
    assert find_codec(native, str(tmp_path)) == tmp_path


def test_a_model_of_the_hub_is_taken_from_its_cache_when_offline(native: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40, "utf-8")
    (repository / "snapshots").mkdir()
    native.rename(repository / "snapshots" / ("a" * 40))
    looking = """
import sys
from errors import HubError
from higgs.model.checkpoint import find
print(find(sys.argv[1]))
try:
    find(sys.argv[2])
except HubError as error:
    print(error)
"""
    command = [sys.executable, "-c", looking, "someone/tiny", "someone/other"]
    offline = os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    output = subprocess.run(command, env=offline, capture_output=True, text=True, cwd=Path.cwd()).stdout
    found, other = output.strip().split("\n", 1)
    assert found == str(repository / "snapshots" / ("a" * 40))
    assert "someone/other" in other


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "nowhere", "a/b/c"])
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(StartError, match="no folder"):
        find(name)


def broken(folder: Path, fault: str) -> None:
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    match fault:
        case "missing":
            del tensors["model.layers.1.audio_mlp.up_proj.weight"]
        case "unexpected":
            tensors["model.layers.9.surprise.weight"] = torch.zeros(1)
        case "of another shape":
            tensors["audio_lm_head.weight"] = torch.zeros(8 * 1024, 64)
    weights.unlink()
    match fault:
        case "no weights":
            return
        case "Can't read":
            weights.write_bytes(b"no tensors")
        case _:
            save_file(tensors, weights)


@pytest.mark.parametrize("fault", ["missing", "unexpected", "of another shape", "no weights", "Can't read"])
def test_faulty_weights_are_named(native: Path, fault: str) -> None:
    broken(native, fault)
    with pytest.raises(StartError, match=fault) as error:
        load_checkpoint(str(native))
    assert str(native) in error.value.message


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_missing_files_are_named(native: Path, name: str) -> None:
    (native / name).unlink()
    with pytest.raises(StartError, match=name):
        load_checkpoint(str(native))
