"""Higgs v3: the backbone equals transformers' Qwen3; prompt, delay, end and codec are the published ones."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3Config, Qwen3Model

from errors import InvalidRequest, StartError
from higgs.codecs.base import load_codec
from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.engine.engine import Engine
from higgs.engine.sampler import SamplingOptions
from higgs.model.checkpoint import load_checkpoint, load_tokenizer
from higgs.model.config import HIGGS_V3, HiggsConfig, RopeConfig
from higgs.prompts.v2 import Prompt, Reference, Turn
from higgs.prompts.v3 import TaskPromptBuilder
from tests.golden import lm_cases as cases
from tests.higgs.test_engine import GREEDY, frames_of
from tests.tiny_codec import NATIVE
from tests.tiny_v3 import (
    CONFIG,
    EMBEDDING,
    INNER_CODEC,
    config_json,
    random_weights,
    tiny_model,
    token_id,
    write_tiny_v3,
)

BOS, EOS = 1024, 1025


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_v3(tmp_path_factory.mktemp("models") / "v3")


@pytest.fixture(scope="module")
def builder(folder: Path) -> TaskPromptBuilder:
    return TaskPromptBuilder(load_tokenizer(folder), CONFIG)


@pytest.fixture(scope="module")
def prompt(builder: TaskPromptBuilder) -> Prompt:
    return builder.speech(cases.TEXT, [Reference(cases.FIRST_CODES, cases.FIRST_TRANSCRIPT)])


@pytest.fixture(scope="module")
def qwen() -> Qwen3Model:
    """transformers' backbone with the tiny model's weights."""
    text = config_json()["text_config"] | {"rope_theta": 1_000_000.0}
    model = Qwen3Model(Qwen3Config(**text)).eval()
    weights = {name.removeprefix("model."): weight for name, weight in random_weights().items()}
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    return model


def test_hidden_states_equal_transformers_qwen3(qwen: Qwen3Model, prompt: Prompt) -> None:
    model = tiny_model()
    embeddings = model.embed(prompt.input_ids[None], prompt.audio_columns[None], prompt.audio_mask[None])
    with torch.no_grad():
        theirs = qwen(inputs_embeds=embeddings).last_hidden_state
    ours = model(embeddings, prompt.audio_mask[None], torch.arange(len(prompt))[None])
    assert theirs.abs().max() > 1
    assert (ours - theirs).abs().max() <= 1e-5


@torch.no_grad()
def reference_columns(qwen: Qwen3Model, prompt: Prompt, count: int) -> torch.Tensor:
    """The greedy columns [count, 8] that follow a prompt and <|audio|>, each computed from the very start.

    Codebook k is one table of 1026 rows, the k-th of the fused matrix, which is the head as well; a column is
    the sum of its codes' rows. Codebooks above a column's number are BOS; no other code is a mark.
    """
    fused = random_weights()[EMBEDDING].view(8, 1026, -1)
    audio = torch.stack([fused[book][prompt.audio_columns[:, book]] for book in range(8)]).sum(0)
    text = qwen.embed_tokens(torch.cat([prompt.input_ids, torch.tensor([token_id("<|audio|>")])]))
    inputs = torch.where(
        torch.cat([prompt.audio_mask, torch.tensor([False])])[:, None], torch.cat([audio, audio[:1]]), text
    )
    columns = torch.empty(0, 8, dtype=torch.int64)
    while len(columns) < count:
        hidden = qwen(inputs_embeds=inputs[None]).last_hidden_state[0, -1]
        logits = torch.stack([fused[book] @ hidden for book in range(8)])
        column = logits[:, :1024].argmax(-1)
        column[len(columns) + 1 :] = BOS
        columns = torch.cat([columns, column[None]])
        summed = torch.stack([fused[book][column[book]] for book in range(8)]).sum(0)
        inputs = torch.cat([inputs, summed[None]])
    return columns


def test_greedy_codes_equal_a_reference_written_apart(qwen: Qwen3Model, prompt: Prompt) -> None:
    engine = Engine(tiny_model(), capacity=512)
    generation = engine.submit(prompt, GREEDY, 1 + 40)
    frames = frames_of(generation)
    engine.close()
    columns = reference_columns(qwen, prompt, 40)
    assert frames.shape == (8, 33)
    for book in range(8):
        assert torch.equal(frames[book], columns[book : book + 33, book])


class Script:
    """Distributions that follow a script of codes [N, 8]: row c is likeliest for column c."""

    def __init__(self, script: torch.Tensor, prompt: Prompt) -> None:
        self.script, self.prompt = script, prompt
        self.read: list[torch.Tensor] = []

    def __call__(self, columns: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        self.read.append(columns[0].clone())
        # The engine writes a column beyond the last before it knows that it is the last.
        codes = self.script[(positions - len(self.prompt)).clamp(max=len(self.script) - 1)]
        return torch.nn.functional.one_hot(codes, CONFIG.codebook_size).float()


def run(script: torch.Tensor, prompt: Prompt) -> tuple[torch.Tensor, list[torch.Tensor], int]:
    """The frames, the columns that were read, and how many were written."""
    path = Script(script, prompt)
    engine = Engine(tiny_model(), slots=1, capacity=512, make_decode_fn=lambda model, cache: path)
    generation = engine.submit(prompt, GREEDY, len(script) + 1)
    frames = frames_of(generation)
    engine.close()
    return frames, path.read, generation.columns - 1


def test_no_stream_ends_before_its_least_frames(prompt: Prompt) -> None:
    path = Script(torch.full((1, 8), EOS), prompt)
    engine = Engine(tiny_model(), slots=1, capacity=512, make_decode_fn=lambda model, cache: path)
    assert frames_of(engine.submit(prompt, GREEDY, 60, min_frames=20)).shape == (8, 20)
    engine.close()


def test_after_codebook_0_ends_six_more_columns_complete_the_audio(prompt: Prompt) -> None:
    script = torch.randint(0, 1024, (40, 8), generator=torch.Generator().manual_seed(1))
    script[20, 0] = EOS
    frames, read, written = run(script, prompt)
    assert written == 20 + 1 + 6
    assert frames.shape == (8, 20)
    for book in range(8):
        assert torch.equal(frames[book], script[book : book + 20, book])
    assert read[0].tolist() == [-1] * 8
    for column, codes in enumerate(read[1:]):
        expected = script[column].clone()
        expected[column + 1 :] = BOS
        if column >= 20:
            expected[: column - 19] = EOS
        assert torch.equal(codes, expected)


def test_marks_are_never_drawn_within_the_audio(prompt: Prompt) -> None:
    script = torch.randint(0, 1024, (40, 8), generator=torch.Generator().manual_seed(2))
    script[9, 3], script[11, 0], script[12, 6] = EOS, BOS, BOS
    frames, _, written = run(script, prompt)
    assert written == 40 and frames.shape == (8, 33)
    assert frames.max() < 1024


def test_every_draw_is_a_code_whatever_the_sampling(prompt: Prompt) -> None:
    engine = Engine(tiny_model(), capacity=512)
    drawn = [
        engine.submit(prompt, SamplingOptions(3.0, None, 1.0, ras_window=0, seed=seed), 100)
        for seed in range(4)
    ]
    for generation in drawn:
        frames = frames_of(generation)
        assert frames.numel() == 0 or frames.max() < 1024
        assert frames.shape[1] == generation.columns - 8
    engine.close()


def test_prompts_are_the_published_ones(builder: TaskPromptBuilder) -> None:
    def ids(*parts: str | int) -> list[int]:
        return [
            n for part in parts for n in ([part] if isinstance(part, int) else builder._tokens.encode(part))
        ]

    tts, text, audio, words = (token_id(f"<|{name}|>") for name in ("tts", "text", "ref_audio", "ref_text"))
    plain = builder.speech(cases.TEXT)
    assert plain.input_ids.tolist() == ids(tts, text, cases.TEXT)
    assert not plain.audio_mask.any()
    for reference, spoken in (
        (Reference(cases.FIRST_CODES), [tts]),
        (Reference(cases.FIRST_CODES, cases.FIRST_TRANSCRIPT), [tts, words, *ids(cases.FIRST_TRANSCRIPT)]),
    ):
        prompt = builder.speech(cases.TEXT, [reference])
        frames = cases.FIRST_CODES.shape[1]
        heard = len(spoken) + 1
        assert prompt.input_ids[:heard].tolist() == [*spoken, audio]
        assert prompt.audio_mask.nonzero().flatten().tolist() == list(range(heard, heard + frames + 7))
        assert prompt.prefix == heard + frames + 7
        assert prompt.input_ids[prompt.prefix :].tolist() == ids(text, cases.TEXT)
        columns = prompt.audio_columns[prompt.audio_mask]
        for book in range(8):
            expected = [*[BOS] * book, *cases.FIRST_CODES[book].tolist(), *[EOS] * (7 - book)]
            assert columns[:, book].tolist() == expected


def test_several_recordings_of_a_voice_are_references_one_after_the_other(
    builder: TaskPromptBuilder,
) -> None:
    first, second = Reference(torch.arange(80).view(8, 10), "One."), Reference(torch.arange(160).view(8, 20))
    alone = [builder.speech("On.", [reference]) for reference in (first, second)]
    both = builder.speech("On.", [replace(first, more=(second,))])
    ends = [prompt.prefix for prompt in alone]
    text = alone[0].input_ids[ends[0] :]
    expected = [alone[0].input_ids[: ends[0]], alone[1].input_ids[1 : ends[1]], text]
    assert torch.equal(both.input_ids, torch.cat(expected))
    assert both.prefix == ends[0] + ends[1] - 1
    columns = [prompt.audio_columns[prompt.audio_mask] for prompt in (*alone, both)]
    assert torch.equal(columns[2], torch.cat(columns[:2]))


def test_a_text_without_a_voice_goes_on_in_that_of_what_was_said(builder: TaskPromptBuilder) -> None:
    said = Reference(torch.arange(80).view(8, 10), "Said.")
    assert_same(builder.speech("On.", before=said), builder.speech("On.", [said]))
    voice = Reference(torch.arange(160).view(8, 20), "A voice.")
    assert_same(builder.speech("On.", [voice], before=said), builder.speech("On.", [voice]))


def assert_same(one: Prompt, other: Prompt) -> None:
    assert torch.equal(one.input_ids, other.input_ids) and torch.equal(one.audio_columns, other.audio_columns)


def test_what_the_prompt_can_t_hold_is_refused(builder: TaskPromptBuilder) -> None:
    with pytest.raises(InvalidRequest, match=r"<\|text\|>"):
        builder.speech("Hello <|text|> there.")
    with pytest.raises(InvalidRequest, match="one voice"):
        builder.speech(cases.TEXT, [Reference(cases.FIRST_CODES)] * 2)
    with pytest.raises(InvalidRequest, match="conversations"):
        builder.build([Turn("user", ("Hello.",))])


def test_a_published_checkpoint_loads_by_name(folder: Path) -> None:
    loaded = load_checkpoint(str(folder))
    assert loaded.model.config == CONFIG
    assert loaded.model.config.rope == RopeConfig(theta=1_000_000.0, factor=1.0)
    state, expected = loaded.model.state_dict(), random_weights()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert loaded.model.audio_lm_head.weight.data_ptr() == state[EMBEDDING].data_ptr()
    assert loaded.defaults == SamplingOptions(temperature=0.8, top_k=50, top_p=1.0, ras_window=0)
    assert loaded.codec == folder
    assert loaded.licence and "non-commercial" in loaded.licence.name


def test_the_codec_within_is_the_native_one(folder: Path) -> None:
    ours, native = load_codec(str(folder)), load_codec(str(NATIVE))
    assert isinstance(ours, WaveformCodec) and isinstance(native, WaveformCodec)
    inner, outer = ours.network.state_dict(), native.network.state_dict()
    assert inner.keys() == outer.keys()
    assert all(torch.equal(inner[name], outer[name]) for name in outer)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    folder = write_tiny_v3(tmp_path)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {n: w for n, w in weights.items() if not n.startswith(INNER_CODEC)}, folder / "model.safetensors"
    )
    with pytest.raises(StartError, match="HIGGS_CODEC"):
        load_codec(str(folder))
    del weights["body.layers.1.self_attn.q_norm.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(StartError, match=r"missing: model.layers.1.self_attn.q_norm.weight"):
        load_checkpoint(str(folder))
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8").replace("<|audio|>", "<|other|>"), "utf-8")
    with pytest.raises(StartError, match=r"<\|audio\|>"):
        load_checkpoint(str(folder))


@pytest.mark.parametrize(
    ("part", "change", "word"),
    [
        ("text_config", {"model_type": "llama"}, "Qwen3"),
        ("audio_encoder_config", {"encoder_type": "whisper"}, "codes"),
    ],
)
def test_models_of_another_kind_are_refused(part: str, change: dict, word: str) -> None:
    config = config_json()
    config[part] |= change
    with pytest.raises(StartError, match=word):
        HiggsConfig.from_dict(config)


def test_a_head_is_128_wide_where_the_config_does_not_say() -> None:
    config = config_json()
    config["text_config"] |= {"hidden_size": 2560, "num_attention_heads": 32, "head_dim": None}
    assert HiggsConfig.from_dict(config).head_dim == 128


def test_a_bare_config_is_the_published_shape() -> None:
    assert HiggsConfig.from_dict({"model_type": "higgs_multimodal_qwen3"}) == HIGGS_V3
