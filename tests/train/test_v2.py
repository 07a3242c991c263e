"""The second recipe: its forward pass against the model's own, its batches, and the parts of its weights."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from higgs.codecs.vocoder.v2.network import UNREAD, reading_code
from higgs.model.config import HiggsConfig
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import PromptBuilder
from train.examples import Example
from train.guide import guided_forward
from train.v2 import coded
from train.v2.batches import Batch, Loader, packed, unpacked
from train.v2.examples import Examples
from train.v2.forward import forward
from train.v2.language_model import Schedule, Trainer
from train.v2.parts import load_parts, save_parts
from train.v2.run import BOOKS, fresh
from train.v2.tokenizer import build_config, build_tokenizer

TEXT = "a small dog ran."


@pytest.fixture(scope="module")
def config() -> HiggsConfig:
    return build_config(build_tokenizer(), hidden=128, layers=4)


@pytest.fixture(scope="module")
def examples(config: HiggsConfig, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Of a shard with three voices that say a text several times."""
    rng, clips = np.random.default_rng(0), []
    for number in range(12):
        frames = int(rng.integers(30, 60))
        codes = rng.integers(0, 900, (frames, 7))
        as_recorded = number % 4 == 3
        codes[:, 0] = UNREAD if as_recorded else codes[:, 0]
        first = np.linspace(0, len(TEXT) - 2, frames).astype(np.int64)
        spans = np.stack([first, first + 1], axis=1)
        voice = np.array([number // 4, 300, 700])
        clips.append(coded.Coded(number // 4, codes, voice, TEXT, spans, as_recorded))
    path = tmp_path_factory.mktemp("coded") / "0000.npz"
    coded.save(path, clips)
    builder = PromptBuilder(PreTrainedTokenizerFast(tokenizer_object=build_tokenizer()), config)
    return Examples([path], builder, config)


@pytest.fixture(scope="module")
def example(examples: Examples) -> Example:
    examples.seed(1)
    return next(examples.batches(1500, lambda: 5.0))


def batch_of(example: Example) -> Batch:
    return unpacked(packed(example), pin=False).to("cpu")


def test_forward_is_the_models(config: HiggsConfig, example: Example) -> None:
    torch.manual_seed(0)
    model = HiggsModel(config)
    batch = batch_of(example)
    hidden, guide = forward(model, batch, torch.float32)
    embeddings = model.embed(example.ids, example.columns, example.mask)
    expected, _, expected_guide = guided_forward(model, embeddings, example.mask, example.letters)
    assert torch.allclose(hidden, expected, atol=1e-4)
    assert float(guide.detach()) == pytest.approx(float(expected_guide.detach()), rel=0.01)


def test_gradients_are_the_models(config: HiggsConfig, example: Example) -> None:
    torch.manual_seed(0)
    model = HiggsModel(config)
    hidden, _ = forward(model, batch_of(example), torch.float32)
    hidden.square().mean().backward()
    found = {name: part.grad.clone() for name, part in model.named_parameters() if part.grad is not None}
    model.zero_grad()
    embeddings = model.embed(example.ids, example.columns, example.mask)
    guided_forward(model, embeddings, example.mask, None)[0].square().mean().backward()
    for name, part in model.named_parameters():
        if part.grad is not None:
            assert torch.allclose(found[name], part.grad, atol=1e-5), name


def test_batches_keep_what_examples_say(example: Example) -> None:
    batch = batch_of(example)
    assert torch.equal(batch.ids, example.ids)
    assert torch.equal(batch.targets, example.targets[example.learn])
    assert torch.equal(example.learn.flatten().nonzero()[:, 0], batch.learned)
    rows = torch.arange(batch.mask.numel())
    assert torch.equal(rows[batch.order][batch.back], rows)
    assert not batch.mask.flatten()[batch.order[: batch.texts]].any()


def test_training_ends_in_parts(config: HiggsConfig, examples: Examples, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = fresh(HiggsModel(config), BOOKS).train().requires_grad_()
    trainer = Trainer(model, Schedule(0.02, report=1, judge=2), tmp_path / "lm2.pt", "cpu")
    with closing(Loader(examples, 600, workers=2, seed=0, pin=False)) as loader:
        trainer.run(loader, [batch_of(next(examples.batches(600, lambda: 5.0)))])
    assert trainer.step > 0
    found = load_parts(tmp_path)
    for name, weight in trainer.average.items():
        assert torch.equal(found[name], weight.bfloat16())


def test_parts_of_different_saves_are_refused(tmp_path: Path) -> None:
    weights = {"a": torch.randn(9000, 1000), "b": torch.randn(7)}
    save_parts(weights, tmp_path, step=1)
    first = (tmp_path / "average-0.safetensors").read_bytes()
    save_parts(weights, tmp_path, step=2)
    assert torch.equal(load_parts(tmp_path)["a"], weights["a"].bfloat16())
    (tmp_path / "average-0.safetensors").write_bytes(first)
    with pytest.raises(ValueError, match="different saves"):
        load_parts(tmp_path)


def test_coded_clips_are_read_as_they_were_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes, spans = rng.integers(0, 1024, (9, 7)), np.stack([np.arange(9), np.arange(9) + 2], axis=1)
    clip = coded.Coded(3, codes, np.array([1, 300, 700]), TEXT, spans, False)
    coded.save(tmp_path / "0.npz", [clip, clip])
    for found in coded.load(tmp_path / "0.npz"):
        assert np.array_equal(found.codes, codes)
        assert np.array_equal(found.spans, spans)
        assert (found.speaker, found.text, found.recorded) == (3, TEXT, False)


def test_the_codes_of_frames_are_those_of_each_frame() -> None:
    rng = np.random.default_rng(0)
    symbols, words, left = rng.integers(0, 96, 50), rng.integers(0, 30, 50), rng.integers(0, 9, 50)
    rows = list(zip(symbols, words, left, strict=True))
    expected = [(symbol * 2 + word % 2) * 5 + min(frames, 4) for symbol, word, frames in rows]
    assert reading_code(symbols.astype(np.uint8), words, left).tolist() == expected
    assert [int(reading_code(*row)) for row in rows] == expected
