"""Phones spelled for a model of letters. Kinds of fault: a phone without a letter, one that is lost."""
# ruff: noqa: RUF001 (letters of the phonetic alphabet look like others)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgs.prompts.phonetic import phone_symbols
from higgs.prompts.pronunciation import CONSONANTS, STRESSES, VOWELS
from higgs.prompts.respelling import LETTERS, respelled, syllables

SYMBOLS = st.sampled_from([*CONSONANTS, *(stress + vowel for vowel in VOWELS for stress in STRESSES)])


@pytest.mark.parametrize(
    ("phones", "letters"),
    [
        ("/wɪn/", "win"),
        ("{W IH1 N}", "win"),
        ("/kəmˈpjutəɹ/", "kumputer"),
        ("/ɹəˈsit/", "reseet"),
        ("/ˈdɹɑmə/", "dromma"),
        ("/ˈfɑðəɹ/", "fotther"),
        ("/ˈmɛʒəɹ/", "measure"),
        ("/ˈvɪʒən/", "vision"),
        ("/ˈwɪndoʊ/", "window"),
        ("/naɪt/", "nite"),
        ("/aɪ/", "eye"),
        ("/ˈeɪpəl/", "ayple"),
        ("/ˈmɪɹəɹ/", "mirrer"),
        ("/ks/", "ks"),
    ],
)
def test_spellings(phones: str, letters: str) -> None:
    assert respelled(phone_symbols(phones)) == letters


@given(st.lists(SYMBOLS, min_size=1, max_size=20))
def test_any_phones_have_letters_and_none_is_lost(symbols: list[str]) -> None:
    letters = respelled(symbols)
    assert letters.isascii() and letters.isalpha() and letters.islower()
    parts = syllables([symbol.lstrip("".join(STRESSES)) for symbol in symbols])
    spoken = "".join("".join((*part.before, part.vowel, *part.after)) for part in parts)
    assert spoken == "".join(symbol.lstrip("".join(STRESSES)) for symbol in symbols)


def test_every_consonant_has_letters() -> None:
    assert set(LETTERS) == set(CONSONANTS)
