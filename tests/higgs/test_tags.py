"""Inline tags: a model's own stay, others are refused or read, and words of an instruction become some."""

from pathlib import Path

import pytest

from errors import InvalidRequest
from higgs.model.checkpoint import load_tokenizer
from higgs.prompts.tags import BARE_PAUSE, PAUSE, SOUNDS, Tags
from higgs.prompts.v2 import PromptBuilder
from higgs.prompts.v3 import TaskPromptBuilder
from tests import tiny, tiny_v3

LAUGH = "<SE>[Laughter]</SE>"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folders = {generation: tmp_path_factory.mktemp(f"v{generation}") for generation in (2, 3)}
    tiny.write_tokenizer(folders[2])
    tiny_v3.write_tokenizer(folders[3])
    return folders


@pytest.fixture(scope="module")
def v2(folders: dict[int, Path]) -> Tags:
    return Tags(load_tokenizer(folders[2]))


@pytest.fixture(scope="module")
def v3(folders: dict[int, Path]) -> Tags:
    return Tags(load_tokenizer(folders[3]))


def test_a_model_knows_the_tags_of_its_tokenizer(v2: Tags, v3: Tags) -> None:
    assert v2.known == {"<SE>", "</SE>", "<SE_s>", "</SE_s>", "<SE_e>", "</SE_e>"}
    assert v3.known == set(tiny_v3.TAGS) - {"<|env:noise|>"}


def test_manners_hold_for_what_follows_sounds_and_pauses_do_not(v2: Tags, v3: Tags) -> None:
    assert not v2.manners
    sounds = {"<|sfx:laughter|>", "<|sfx:cough|>", "<|prosody:pause|>", "<|prosody:long_pause|>"}
    assert v3.manners == v3.known - sounds


def test_known_tags_reach_the_prompt_as_tokens(folders: dict[int, Path]) -> None:
    spoken = TaskPromptBuilder(load_tokenizer(folders[3]), tiny_v3.CONFIG).speech("<|emotion:anger|>No!")
    assert tiny_v3.token_id("<|emotion:anger|>") in spoken.input_ids
    laughed = PromptBuilder(load_tokenizer(folders[2]), tiny.CONFIG).speech(f"{LAUGH} No!")
    assert tiny.token_id("<SE>") in laughed.input_ids


UNKNOWN = [
    "a <|emotion:despair|> b",
    "a <|env:noise|> b",
    "a <|Emotion: Anger|> b",
    "a <SE_x>[Boo]</SE_x> b",
    "</SE> b",
]


@pytest.mark.parametrize("text", UNKNOWN)
def test_unknown_tags_are_refused_with_those_there_are(v3: Tags, text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"<\|emotion:elation\|>") as error:
        v3.resolve(text)
    assert error.value.code == "unknown_tag"


def test_unknown_tags_are_read_if_that_is_asked_for(folders: dict[int, Path]) -> None:
    reader = Tags(load_tokenizer(folders[3]), unknown="read")
    read = [reader.resolve(text) for text in UNKNOWN]
    assert read == ["a despair b", "a noise b", "a Anger b", "a Boo b", "b"]
    assert Tags(load_tokenizer(folders[2]), unknown="read").resolve("<|sfx:big_cough|>A") == "big cough A"


def test_sounds_of_v2_are_those_of_v3(v2: Tags, v3: Tags) -> None:
    assert v2.resolve(f"Ha {LAUGH} no") == f"Ha {LAUGH} no"
    assert v3.resolve(f"Ha {LAUGH} no") == f"Ha {SOUNDS['[Laughter]']} no"
    with pytest.raises(InvalidRequest, match="Applause"):
        v3.resolve("<SE>[Applause]</SE>")


@pytest.mark.parametrize(
    ("instruction", "tags"),
    [
        (
            "Speak sadly and slowly, in a whisper.",
            "<|emotion:sadness|><|style:whispering|><|prosody:speed_slow|>",
        ),
        ("Not angry, but overjoyed? Be joyful.", "<|emotion:elation|>"),
        ("Angry, then sad.", "<|emotion:anger|>"),
        ("Don't whisper. A quiet room.", ""),
        ("Very slow.", "<|prosody:speed_slow|>"),
    ],
)
def test_words_of_an_instruction_become_tags(v3: Tags, instruction: str, tags: str) -> None:
    assert v3.instruction_tags(instruction) == tags


def test_a_model_without_tags_is_told_none(v2: Tags) -> None:
    assert v2.instruction_tags("Sadly.") == ""
    assert PAUSE not in v2.known


def test_a_pause_of_no_length_is_the_model_s_own(v3: Tags) -> None:
    assert PAUSE in v3.known
    text = BARE_PAUSE.sub(PAUSE, "a [pause] b <break/> c [pause 1s] d")
    assert text == "a <|prosody:pause|> b <|prosody:pause|> c [pause 1s] d"
