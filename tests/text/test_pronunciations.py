"""Words said as a dictionary tells. Kinds of fault: a part of a word, a link or a tag that is changed."""
# ruff: noqa: RUF001 (letters of the phonetic alphabet look like others)

import json
from pathlib import Path

import pytest

from errors import InvalidRequest, StartError
from text.normalise import read_out, speakable
from text.pronunciations import MAX_ENTRIES, Lexicon, checked, of_file
from text.traced import Traced
from text.words import written_words


def said(text: str, *dictionaries: dict[str, str]) -> str:
    return str(speakable(text, "english", lexicon=Lexicon(*dictionaries)))


@pytest.mark.parametrize(
    ("entries", "text", "spoken"),
    [
        ({"Nguyen": "win"}, "Nguyen, Nguyen's and Nguyens.", "win, win's and Nguyens."),
        ({"Nguyen": "win"}, "nguyen NGUYEN", "nguyen NGUYEN."),
        ({"gif": "jif"}, "A GIF, a gif, gifted.", "A jif, a jif, gifted."),
        ({"SQL": "sequel"}, "SQL and MySQL", "sequel and My ess cue ell."),
        ({"New York": "noo york", "New": "noo"}, "New York is New.", "noo york is noo."),
        ({"C++": "see plus plus"}, "C++ it is", "see plus plus it is."),
        ({"2nd": "other"}, "the 2nd day", "the other day."),
        ({"José": "ho zay"}, "José and Jose\u0301", "ho zay and ho zay."),
        ({"bold": "bald"}, "**bold** <b>bold</b> [bold](https://bold.org)", "bald bald bald."),
        ({"bold": "bald"}, "See https://bold.org or me@bold.org", "See bold dot org or me at bold dot org."),
        ({"laugh": "x", "speaker": "x"}, "Ha [laugh] ha", "Ha <SE>[Laughter]</SE> ha."),
        ({"a": "uh"}, "a b a", "uh bee uh."),
        (
            {"5": "cinco"},
            "$5, 55, 5.5, -5, 5%, 5-7, 5",
            "five dollars, fifty-five, five point five, minus five, five percent, five to seven, cinco.",
        ),
        ({"5": "cinco"}, "5: (5), '5', 5; 5-year", "cinco: cinco , 'cinco', cinco; cinco-year."),
        (
            {"GPT-4": "the model"},
            "GPT-4, GPT-4.5 and GPT-4's",
            "the model, gee pee tee four point five and the model's.",
        ),
        ({"New York": "noo york"}, "New\nYork, New  York and NewYork", "noo york, noo york and NewYork."),
    ],
)
def test_whole_words_are_said_as_told(entries: dict[str, str], text: str, spoken: str) -> None:
    assert said(text, checked(entries)) == spoken


def test_the_first_dictionary_outranks_the_others() -> None:
    assert said("Nguyen Anna", {"Nguyen": "one"}, {"nguyen": "two", "Anna": "ahna"}) == "one ahna."


def test_each_voice_says_words_its_own_way() -> None:
    read = read_out(
        "[SPEAKER0] Nguyen. [SPEAKER1] Nguyen.",
        "english",
        2,
        lexicons=[Lexicon({"Nguyen": "win"}), Lexicon()],
    )
    assert [parts for _, parts in read.turns if parts] == [("win.",), ("Nguyen.",)]


def test_a_respelled_word_stays_the_one_that_was_written() -> None:
    text = "Mr. Nguyen Van pays $5."
    chunk = speakable(text, "english", lexicon=Lexicon({"Nguyen Van": "win van"}))
    words = {word.text: word for word in written_words(text, [chunk])}
    assert list(words) == ["Mr.", "Nguyen", "Van", "pays", "$5"]
    assert words["Nguyen"].spoken == words["Van"].spoken and isinstance(chunk, Traced)


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"": "a"}, "''"),
        ({"<b>": "a"}, "'<b>'"),
        ({"+": "plus"}, "'+'"),
        ({"Nguyen": ""}, "'Nguyen'"),
        ({"Nguyen": "<|x|>"}, "'Nguyen'"),
        ({"Nguyen": "[laugh]"}, "'Nguyen'"),
        ({"Nguyen": "..."}, "'Nguyen'"),
        ({"Nguyen": "/w"}, "'Nguyen'"),
        ({"x" * 61: "a"}, "xxx"),
        ({"Nguyen": "a " * 61}, "'Nguyen'"),
        ({f"w{n}": "a" for n in range(MAX_ENTRIES + 1)}, "501 pronunciations"),
    ],
)
def test_an_entry_that_cannot_be_applied_is_named(entries: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked(entries)
    assert named in refused.value.message and refused.value.code == "invalid_pronunciation"


def test_phonetic_entries_are_taken_and_left_to_the_model() -> None:
    entries = checked({"Nguyen": " /wɪn/ ", "tomato": "{T AH0 M EY1 T OW2}"})
    assert said("A Nguyen.", {}) == "A Nguyen."
    lexicon = Lexicon(
        entries, phones=lambda phones: f"<{phones}>".translate({ord(c): "\ue001" for c in "<>/ɪwn"})
    )
    spoken = speakable("Nguyen", "english", lexicon=lexicon)
    assert spoken.strip(".") == "\ue001" * 7
    assert written_words("Nguyen", [spoken])[0].text == "Nguyen"
    assert speakable("\ue001a", "english") == "a."  # a text can't bring phones itself


def test_a_file_is_read_or_the_server_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps({"Nguyen": "win"}))
    assert of_file(path) == {"Nguyen": "win"} and of_file(None) == {}
    for wrong in ("[]", "{", '{"a": 1}', '{"+": "plus"}'):
        path.write_text(wrong)
        with pytest.raises(StartError, match="HIGGS_PRONUNCIATIONS"):
            of_file(path)
    with pytest.raises(StartError):
        of_file(tmp_path / "none.json")
