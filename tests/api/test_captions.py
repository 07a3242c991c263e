"""Words grouped into subtitles. Kind of fault: a cue that ends within a sentence, or goes on behind one."""

import pytest

from api.captions import MAX_CHARACTERS, captions, cues
from synthesis.word_times import WordTime
from text.chunking import Chunking
from text.normalise import Reading, read_out, spoken_parts
from text.traced import Traced
from text.words import written_words


def timed(text: str, reading: Reading = "english") -> list[WordTime]:
    """The words of a text, each spoken in half a second."""
    parts = spoken_parts(read_out(text, reading, 1), Chunking(200, 1))
    words = written_words(text, [Traced.of(part[1]) for part in parts if isinstance(part, tuple)])
    return [
        WordTime(word.text, at / 2, (at + 1) / 2, word.end, word.shown, word.ends_line)
        for at, word in enumerate(words)
    ]


def shown(text: str, reading: Reading = "english") -> list[str]:
    return [" ".join(word.shown for word in cue) for cue in cues(timed(text, reading))]


@pytest.mark.parametrize("reading", ["english", "plain"])
@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith paid approx. $5.50 at St. Mary's vs. us.|Good.",
        "It costs $5.50, Mr. Nguyen.|So?",
        "Try e.g. this, (i.e. that) etc. as well.|Then go.",
        "J. R. Smith of the U.S. Navy came at 3 p.m. on Dec. 25 with no. 5.|So did I.",
        "No.|We went at 3 p.m.|He left.",
        "It was 1984.|What a year!|Wait...|No way.",
        'She said: "Stop it."|"Why?"',
        "1. Wash the rice.|Well.|2. Cook the second item|3. Eat",
        "A title|The text goes on.",
        "今。|Good.",
    ],
)
def test_a_cue_is_a_sentence_or_a_line(text: str, reading: Reading) -> None:
    if not text.isascii() and reading == "english":
        return
    sentences = text.split("|")
    written = text.replace("|2", "\n2").replace("|3", "\n3").replace("title|", "title\n\n").replace("|", " ")
    assert shown(written, reading) == sentences


def test_a_long_sentence_is_two_lines_a_cue() -> None:
    found = shown("A word of it " * 30)
    assert len(found) > 4 and all(len(cue) <= MAX_CHARACTERS for cue in found)


def test_entities_are_shown_as_their_characters() -> None:
    assert "\nR&D cost €5 <now>.\n" in captions(timed("R&amp;D cost &euro;5 &lt;now&gt;."), "srt")


def test_chinese_is_shown_without_spaces() -> None:
    text = "今天天气很好，我们去公园。OK，明天再说（也许）！"  # noqa: RUF001
    lines = captions(timed(text, "plain"), "srt").splitlines()[2::4]
    assert lines == ["今天天气很好，我们去公园。", "OK，明天再说（也许）！"]  # noqa: RUF001
