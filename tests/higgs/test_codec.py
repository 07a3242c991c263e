"""The published codec against boson-multimodal's and transformers', with the same weights and waveform."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from audio.frames import CODEBOOK_SIZE, CODEBOOKS, HOP
from errors import StartError
from higgs.codecs.base import decode, load_codec
from higgs.codecs.higgs_v2.checkpoint import fuse
from higgs.codecs.higgs_v2.codec import CONTEXT, MAX_WINDOW, WaveformCodec
from higgs.codecs.higgs_v2.semantic import resample
from tests.tiny_codec import write_tiny_codec

GOLDEN = Path(__file__).parent.parent / "golden"
BOSON, NATIVE = GOLDEN / "codec_boson", GOLDEN / "codec_native"
LAYOUTS = pytest.mark.parametrize("folder", [BOSON, NATIVE], ids=["boson", "native"])
CLOSE = 1e-5


@pytest.fixture(scope="module")
def boson() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "codec_boson.safetensors")


@pytest.fixture(scope="module")
def native() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "codec_native.safetensors")


@pytest.fixture(scope="module")
def codec() -> WaveformCodec:
    return WaveformCodec.load(NATIVE)


def furthest(ours: torch.Tensor | np.ndarray, theirs: torch.Tensor) -> float:
    return (torch.as_tensor(ours) - theirs).abs().max().item()


def random_codes(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(CODEBOOK_SIZE, (CODEBOOKS, frames), generator=torch.Generator().manual_seed(seed))


@LAYOUTS
def test_codes_are_those_of_boson_and_of_transformers(folder: Path, boson: dict, native: dict) -> None:
    codes = load_codec(str(folder)).encode(boson["waveform"].numpy())
    assert codes.dtype == torch.int64
    assert torch.equal(codes, boson["codes"])
    assert torch.equal(codes, native["codes"])


@LAYOUTS
def test_waveform_is_that_of_boson_and_of_transformers(folder: Path, boson: dict, native: dict) -> None:
    samples = decode(load_codec(str(folder)), boson["codes"])
    assert samples.dtype == np.float32
    assert furthest(samples, boson["decoded"]) <= CLOSE
    assert furthest(samples, native["decoded"]) <= CLOSE


def test_the_stages_between_are_those_of_boson(codec: WaveformCodec, boson: dict) -> None:
    waveform = boson["waveform"]
    assert furthest(resample(waveform[None], 24_000, 16_000)[0], boson["resampled"]) <= 1e-7
    with torch.inference_mode():
        assert furthest(codec.network.semantic_features(waveform[None, None])[0], boson["semantic"]) <= CLOSE
        assert furthest(codec.network.acoustic_encoder(waveform[None, None])[0].T, boson["acoustic"]) <= CLOSE


def test_both_layouts_hold_the_same_tensors() -> None:
    ours, theirs = (WaveformCodec.load(folder).network.state_dict() for folder in (BOSON, NATIVE))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert furthest(tensor, theirs[name]) <= 1e-6, name


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_fused_weight_norm_is_torch_s(axis: int) -> None:
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(6, 4, 5), dim=axis)
    length, direction = (part.detach() for part in layer.parametrizations.weight.parameters())
    assert furthest(fuse(direction, length), layer.weight) <= 1e-6


def test_a_rest_shorter_than_a_frame_changes_nothing(codec: WaveformCodec, boson: dict) -> None:
    waveform = boson["waveform"].numpy()
    whole = codec.encode(waveform[: 30 * HOP])
    assert whole.shape == (CODEBOOKS, 30)
    for rest in (1, 119, 400, 631, HOP - 1):
        assert torch.equal(codec.encode(waveform[: 30 * HOP + rest]), whole)


def test_less_than_a_frame_has_no_codes(codec: WaveformCodec) -> None:
    assert codec.encode(np.zeros(HOP - 1, np.float32)).shape == (CODEBOOKS, 0)
    assert codec.encode(np.zeros(HOP, np.float32)).shape == (CODEBOOKS, 1)


@settings(max_examples=25, deadline=None)
@given(pieces=st.lists(st.integers(0, 30), max_size=8), ends_empty=st.booleans())
def test_any_split_gives_the_whole(codec: WaveformCodec, pieces: list[int], ends_empty: bool) -> None:
    codes = random_codes(sum(pieces))
    whole = decode(codec, codes)
    decoder = codec.decoder()
    joined = [
        decoder.push(piece, last=not ends_empty and index == len(pieces) - 1)
        for index, piece in enumerate(codes.split(pieces, dim=1))
    ]
    if ends_empty or not pieces:
        joined.append(decoder.push(codes[:, :0], last=True))
    assert len(whole) == codes.shape[1] * HOP
    assert np.concatenate(joined).shape == whole.shape
    np.testing.assert_allclose(np.concatenate(joined), whole, rtol=0, atol=CLOSE)


def test_a_frame_comes_out_once_ten_more_stand_behind_it(codec: WaveformCodec) -> None:
    codes = random_codes(40)
    decoder = codec.decoder()
    counts = [len(decoder.push(codes[:, frame : frame + 1])) // HOP for frame in range(40)]
    assert counts == [0] * CONTEXT + [1] * (40 - CONTEXT)
    assert len(decoder.push(codes[:, :0], last=True)) == CONTEXT * HOP


def test_a_long_stream_is_decoded_in_windows_and_is_the_same(codec: WaveformCodec) -> None:
    codes = random_codes(2 * MAX_WINDOW + 37)
    with torch.inference_mode():
        at_once = codec.network.decode(codes[None])[0, 0]
    assert furthest(decode(codec, codes), at_once) <= CLOSE


def test_two_streams_do_not_touch_each_other(codec: WaveformCodec) -> None:
    first, second = random_codes(25, seed=1), random_codes(25, seed=2)
    decoders = codec.decoder(), codec.decoder()
    pieces: tuple[list, list] = ([], [])
    for frame in range(25):
        for decoder, codes, samples in zip(decoders, (first, second), pieces, strict=True):
            samples.append(decoder.push(codes[:, frame : frame + 1], last=frame == 24))
    for codes, samples in zip((first, second), pieces, strict=True):
        np.testing.assert_allclose(np.concatenate(samples), decode(codec, codes), rtol=0, atol=CLOSE)


def altered(folder: Path, change: dict[str, torch.Tensor | None]) -> Path:
    """A native codec with some tensors replaced, or taken away where None."""
    write_tiny_codec(folder)
    tensors = {**load_file(folder / "model.safetensors"), **change}
    save_file({name: t for name, t in tensors.items() if t is not None}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fc2.weight": None}, ["missing", "fc2.weight"]),
        ({"fc3.weight": torch.zeros(1)}, ["unexpected", "fc3.weight"]),
        ({"fc2.bias": torch.zeros(3)}, ["another shape", "fc2.bias"]),
    ],
)
def test_weights_that_do_not_fit_stop_the_start(tmp_path: Path, change: dict, words: list[str]) -> None:
    with pytest.raises(StartError) as caught:
        load_codec(str(altered(tmp_path, change)))
    for word in [*words, "HIGGS_CODEC"]:
        assert word in caught.value.message


def test_a_boson_folder_without_an_acoustic_encoder_stops_the_start(tmp_path: Path) -> None:
    shutil.copy(BOSON / "config.json", tmp_path)
    tensors = torch.load(BOSON / "model.pth", weights_only=True)
    torch.save({k: v for k, v in tensors.items() if not k.startswith("encoder.")}, tmp_path / "model.pth")
    with pytest.raises(StartError, match=r"acoustic_encoder\.conv1\.weight"):
        load_codec(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "higgs_audio_v2_tokenizer", "sample_rate": 16_000}, "16000 Hz"),
        ({"model_type": "higgs_audio_v2_tokenizer", "kernel_size": "three"}, "kernel_size"),
    ],
)
def test_a_config_that_does_not_fit_stops_the_start(tmp_path: Path, config: dict, words: str) -> None:
    write_tiny_codec(tmp_path)
    kept = json.loads((tmp_path / "config.json").read_text()) if "sample_rate" in config else {}
    (tmp_path / "config.json").write_text(json.dumps(kept | config))
    with pytest.raises(StartError, match=words):
        load_codec(str(tmp_path))


@pytest.mark.parametrize("config", [BOSON, NATIVE], ids=["boson's config", "transformers' config"])
def test_the_codec_is_found_in_model_pth_beside_another_model_s_safetensors(
    tmp_path: Path, config: Path, boson: dict
) -> None:
    shutil.copytree(BOSON, tmp_path, dirs_exist_ok=True)
    shutil.copy(config / "config.json", tmp_path)
    save_file({"embed_tokens.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    assert torch.equal(load_codec(str(tmp_path)).encode(boson["waveform"].numpy()), boson["codes"])


def test_weights_without_a_codec_stop_the_start(tmp_path: Path) -> None:
    write_tiny_codec(tmp_path)
    save_file({"embed_tokens.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(StartError, match="don't contain a Higgs Audio codec"):
        load_codec(str(tmp_path))
