"""Prompts are those of boson-multimodal, id by id and code by code."""

from pathlib import Path

import pytest
import torch

from errors import InvalidRequest, StartError
from higgs.model.checkpoint import load_tokenizer
from higgs.prompts.v2 import QUIET_ROOM, Prompt, PromptBuilder, Reference, Turn, speech_turns
from tests import tiny
from tests.golden import lm_cases as cases
from tests.golden.lm_golden import load_golden

FIRST = Reference(cases.FIRST_CODES, cases.FIRST_TRANSCRIPT)
SECOND = Reference(cases.SECOND_CODES, cases.SECOND_TRANSCRIPT)
FIRST_HEARD, SECOND_HEARD = Reference(cases.FIRST_CODES), Reference(cases.SECOND_CODES)


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> PromptBuilder:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.write_tokenizer(folder)
    return PromptBuilder(load_tokenizer(folder), tiny.CONFIG)


def assert_golden(name: str, prompt: Prompt) -> None:
    golden = load_golden()
    assert prompt.input_ids.tolist() == golden[f"prompt.{name}.input_ids"].tolist()
    assert torch.equal(prompt.audio_columns, golden[f"prompt.{name}.columns"])


@pytest.mark.parametrize(
    ("name", "text", "references"),
    [
        ("no_reference", cases.TEXT, []),
        ("transcript", cases.TEXT, [FIRST]),
        ("heard", cases.TEXT, [FIRST_HEARD]),
        ("two_transcripts", cases.DIALOGUE, [FIRST, SECOND]),
        ("two_heard", cases.DIALOGUE, [FIRST_HEARD, SECOND_HEARD]),
    ],
)
def test_speech_prompts_equal_bosons(
    builder: PromptBuilder, name: str, text: str, references: list[Reference]
) -> None:
    assert_golden(name, builder.speech(text, references))


def test_a_prompt_without_a_scene_equals_bosons(builder: PromptBuilder) -> None:
    assert_golden("no_scene", builder.speech(cases.TEXT, scene=None))


def test_any_conversation_equals_bosons(builder: PromptBuilder) -> None:
    turns = [
        Turn("user", ("Listen: ", cases.FIRST_CODES)),
        Turn("assistant", ("I do.",), recipient="all"),
        Turn("assistant", ("So: ", cases.SECOND_CODES)),
        Turn("user", (cases.TEXT,)),
    ]
    assert_golden("free", builder.build(turns))


def test_a_dialogue_without_voices_has_the_instruction_and_the_voices_of_bosons_example() -> None:
    """As examples/generation.py of boson-ai/higgs-audio: feminine and masculine in turn."""
    system, user = speech_turns("[SPEAKER0] Hi.\n[SPEAKER3] Ho.", (), QUIET_ROOM, ["SPEAKER0", "SPEAKER3"])
    assert user.parts == ("[SPEAKER0] Hi.\n[SPEAKER3] Ho.",)
    (text,) = system.parts
    assert isinstance(text, str)
    assert text.startswith("You are an AI assistant designed to convert text into speech.\nIf the user's")
    assert text.endswith(
        "a suitable voice on your own.\n\n<|scene_desc_start|>\nAudio is recorded from a quiet room.\n\n"
        "SPEAKER0: feminine\nSPEAKER3: masculine\n<|scene_desc_end|>"
    )


def test_tokens_are_counted(builder: PromptBuilder) -> None:
    prompt = builder.speech(cases.TEXT, [FIRST])
    assert prompt.audio_tokens == cases.FIRST_CODES.shape[1] + 9
    assert prompt.text_tokens + prompt.audio_tokens == len(prompt)


@pytest.mark.parametrize("mark", ["<|eot_id|>", "<|AUDIO_OUT|>", "<|start_header_id|>"])
def test_text_with_a_mark_of_the_conversation_is_refused(builder: PromptBuilder, mark: str) -> None:
    with pytest.raises(InvalidRequest, match="reserved"):
        builder.speech(f"Hello {mark} there.")


def test_sound_effects_are_not_reserved(builder: PromptBuilder) -> None:
    assert tiny.token_id("<SE>") in builder.speech("<SE>[Laughter]</SE>").input_ids


def test_a_tokenizer_of_another_model_stops_the_start(tmp_path: Path) -> None:
    tiny.write_tokenizer(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("<|audio_out_bos|>", "<|other|>"), "utf-8")
    with pytest.raises(StartError, match="audio_out_bos"):
        PromptBuilder(load_tokenizer(tmp_path), tiny.CONFIG)
