"""Phones in a model's text: which words get them, what stays as it is spelled, and what a folder brings."""

import gzip
import json
from pathlib import Path

import pytest

from errors import StartError
from higgs.prompts.pronunciation import SYMBOLS, TABLE_FILE, Pronunciations, character, symbols_of

TABLE = Pronunciations({"hello": "həlˈO", "father's": "fˈɑðəɹz"})  # noqa: RUF001


def said(*symbols: str) -> str:
    return "".join(map(character, symbols))


def test_known_words_become_phones_and_the_rest_stays() -> None:
    found = TABLE("Hello, my Father’s read!")  # noqa: RUF001
    assert found == f"{said('h', 'ə', 'l', 'ˈO')}, my {said('f', 'ˈɑ', 'ð', 'ə', 'ɹ', 'z')} read!"  # noqa: RUF001


def test_parts_cover_the_text_without_gaps() -> None:
    text = "  Hello -- hello, you. "
    parts = list(TABLE.parts(text))
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == len(text) and sum(part.pronounced for part in parts) == 2


def test_every_symbol_fits_codebook_0() -> None:
    assert len(set(SYMBOLS)) == len(SYMBOLS) <= 96
    assert symbols_of("kwˈɪk") == ["k", "w", "ˈɪ", "k"]  # noqa: RUF001


def test_a_folder_without_a_table_has_none_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    assert Pronunciations.load(tmp_path) is None
    (tmp_path / TABLE_FILE).write_bytes(gzip.compress(json.dumps({"go": "ɡˈO"}).encode()))  # noqa: RUF001
    assert (Pronunciations.load(tmp_path) or TABLE)("Go!") == f"{said('ɡ', 'ˈO')}!"  # noqa: RUF001
    (tmp_path / TABLE_FILE).write_bytes(b"no table")
    with pytest.raises(StartError, match=TABLE_FILE):
        Pronunciations.load(tmp_path)
