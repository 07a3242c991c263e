"""Text that comes bit by bit is cut where a reader would pause, and nothing of it is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from text.clauses import ClauseCutter, Unit


def firsts(text: str, unit: Unit = "clause") -> list[str]:
    """The parts as they are taken one by one, each character coming alone; last what is left."""
    cutter, found = ClauseCutter(), []
    for letter in text:
        cutter.push(letter)
        while (part := cutter.first(unit)) is not None:
            found.append(part)
    return [*found, cutter.rest() or ""]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello there. How are you?", ["Hello there. ", "How are you?"]),
        ("When it had rained, we left; all of us.", ["When it had rained, ", "we left; all of us."]),
        ("Yes, of course it is, she said.", ["Yes, of course it is, ", "she said."]),
        ("It costs $3.50, not $4,000.25 as before.", ["It costs $3.50, ", "not $4,000.25 as before."]),
        ("Dr. Smith met J. R. Tolkien. They spoke.", ["Dr. Smith met J. R. Tolkien. ", "They spoke."]),
        (
            "He saw St. Mary's on Dec. 25. No. He left.",
            ["He saw St. Mary's on Dec. 25. ", "No. ", "He left."],
        ),
        ("At 3 p.m. the U.S. Navy came. Good.", ["At 3 p.m. the U.S. Navy came. ", "Good."]),
        ("The firm, Acme Inc. of York. Good.", ["The firm, Acme Inc. of York. ", "Good."]),
        ("We ate bread etc. Then we left.", ["We ate bread etc. ", "Then we left."]),
        ("Visit e.g. example.com. Now.", ["Visit e.g. example.com. ", "Now."]),
        ("1. Wash it. 2. Dry it.", ["1. Wash it. ", "2. Dry it."]),
        ("A line\nAnother line", ["A line\n", "Another line"]),
        ("Wait [pause 0.5s, or so. ] there. Go on.", ["Wait [pause 0.5s, or so. ] there. ", "Go on."]),
        ("So **it is. And so** it was. Good.", ["So **it is. And so** it was. ", "Good."]),
        ("今日は。元気です", ["今日は。", "元気です"]),
        ('"Stop it!" he cried. "Now?"', ['"Stop it!" ', "he cried. ", '"Now?"']),
    ],
)
def test_clauses(text: str, parts: list[str]) -> None:
    assert firsts(text) == parts


def test_sentences_only() -> None:
    assert firsts("When it had rained, we left. Good.", "sentence") == [
        "When it had rained, we left. ",
        "Good.",
    ]
    assert firsts("One. Two. Three.", "none") == ["One. Two. Three."]


def test_whole_sentences_together_as_far_as_they_fit() -> None:
    cutter = ClauseCutter()
    cutter.push("One is here. Two is there. And thr")
    assert cutter.sentences(12) == "One is here. "
    assert cutter.sentences(100) == "Two is there. " and cutter.sentences(100) is None
    cutter.push("ee. ")
    assert cutter.sentences(1) == "And three. " and len(cutter) == 0


def test_a_flush_takes_what_was_there_and_nothing_behind_it() -> None:
    cutter = ClauseCutter()
    cutter.push("One is here. And th")
    cutter.flush()
    cutter.push("en more")
    assert cutter.first("sentence") == "One is here. "
    assert cutter.due() == "And th" and cutter.due() is None
    assert cutter.rest() == "en more" and cutter.rest() is None


def test_a_text_without_marks_is_cut_between_words() -> None:
    parts = firsts("word " * 200)
    assert len(parts) > 2 and all(len(part) <= 250 and part.endswith(" ") for part in parts[:-1])


@pytest.mark.parametrize("unit", ["[a, ", "<a, ", "<a. <a. ", "](a, ", "...'"])
def test_a_long_text_with_open_markup_is_scanned_once(unit: str) -> None:
    """Kind: each mark, in each message, searched all text before it, which took the event loop's time."""
    cutter = ClauseCutter()
    cutter.push("`" + unit * (20_000 // len(unit)))
    for _ in range(200):
        cutter.push("[a")
        assert cutter.sentences(300) is None and cutter.first("clause") is None
    assert len(cutter) > 20_000


def test_markup_that_is_never_closed_is_waited_for_in_the_last_characters_only() -> None:
    assert firsts("See [a, b and c, d" + " e" * 100 + ", f.")[0].endswith(" e, ")
    assert firsts("See [a](http://b" + ",c" * 1_000 + ", f.")[0].endswith("c, ")


@given(
    some.text(alphabet=list("ab .,!?\n[]*`1。、Dr"), max_size=80), some.sampled_from(["sentence", "clause"])
)
def test_nothing_is_lost(text: str, unit: Unit) -> None:
    assert "".join(firsts(text, unit)) == text
