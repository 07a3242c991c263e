"""A book becomes chapters and pieces: no word is lost, no sentence is torn."""

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.book import (
    CHAPTER_PAUSE,
    PIECE_CHARACTERS,
    PIECE_PAUSE,
    TITLE_PAUSE,
    Chapter,
    chapters_of,
    pieces_of,
    title_of,
)
from text.chunking import Chunking
from text.markdown import plain_text
from text.normalise import Part, read_out, spoken_parts

WORDS = st.sampled_from(["Anna", "went", "home", "to", "sleep", "well", "Zoë", "forty"])
SENTENCES = st.lists(WORDS, min_size=1, max_size=12).map(lambda words: " ".join(words) + ". ")
TEXTS = st.lists(SENTENCES | st.sampled_from(["\n\n", "[pause 1s] "]), min_size=1, max_size=40).map("".join)
BOOKS = st.lists(st.tuples(SENTENCES.map(str.strip), TEXTS), min_size=1, max_size=5)


def parts(text: str) -> list[Part]:
    return spoken_parts(read_out(text, "plain", 1), Chunking(90, 1))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", re.sub(r"\[pause 1s\]", " ", text))


@settings(max_examples=30)
@given(BOOKS)
def test_the_pieces_joined_are_all_words_of_the_book(book: list[tuple[str, str]]) -> None:
    book = [(title, f"Once. {text}") for title, text in book]
    pieces = pieces_of([(parts(title), parts(text)) for title, text in book])
    said = [part[1] for piece in pieces for part in piece.parts if isinstance(part, tuple)]
    assert words(" ".join(said)) == words(" ".join(f"{title} {text}" for title, text in book))
    assert [piece.first for piece in pieces] == [
        sum(isinstance(part, tuple) for before in pieces[:at] for part in before.parts)
        for at in range(len(pieces))
    ]
    for piece in pieces:
        texts = [part for part in piece.parts if isinstance(part, tuple)]
        assert texts and (piece.characters <= PIECE_CHARACTERS or len(texts) == 1)
        assert all(part[1].endswith((".", "!", "?")) for part in texts)


def test_pauses_stand_behind_titles_pieces_and_chapters() -> None:
    long = "A sentence of some length stands here. " * 20
    pieces = pieces_of([(parts("One"), parts(long)), ([], parts("The end."))])
    pauses = [piece.pause for piece in pieces]
    assert pauses == [TITLE_PAUSE, *[PIECE_PAUSE] * (len(pieces) - 3), CHAPTER_PAUSE, 0.0]
    assert [piece.chapter for piece in pieces] == [0] * (len(pieces) - 1) + [1]


MARKDOWN = """Before.

# The *Book*

Preface.

## One & two

Hello **there**.

```
# no heading
```

> # quoted

Three
-----

Text.

### Below

More.
"""


@pytest.mark.parametrize(
    ("written", "titles"),
    [
        (MARKDOWN, ["", "The Book", "One & two", "Three"]),
        ("# A\n\nx\n\n# B\n\n## C\n\n## D\n\ny", ["A", "B"]),
        ("# Only\n\ntext", ["Only"]),
        ("## Lower\n\ntext\n\n### Deeper\n\nmore", ["Lower"]),
        ("No heading at all.", [""]),
        ("#hashtag is none", [""]),
        ("", []),
        ("\n\n***\n\n", []),
    ],
)
def test_chapters_begin_at_headings(written: str, titles: list[str]) -> None:
    assert [chapter.title for chapter in chapters_of(written)] == titles


def test_the_text_of_chapters_is_all_of_the_markdown_but_their_headings() -> None:
    found = chapters_of(MARKDOWN)
    assert found[2] == Chapter("One & two", "Hello **there**.\n\n```\n# no heading\n```\n\n> # quoted")
    assert found[3].text == "Text.\n\n### Below\n\nMore."


@example("# ```a")  # a title that would open a block of code
@example("# 1. a\n===")
@given(
    st.lists(st.sampled_from(["# ", "## ", "a", "b c", "\n", "===", "---", "> ", "```", "1. "])).map("".join)
)
def test_no_word_of_markdown_is_lost(written: str) -> None:
    chapters = chapters_of(written)
    kept = " ".join(f"{chapter.title} {chapter.text}" for chapter in chapters)
    assert re.findall("[a-z]", kept) == re.findall("[a-z]", written)


@pytest.mark.parametrize(
    ("written", "title"), [("**Bold** [link](x)", "Bold link"), ("a\nb", "a b"), ("x" * 300, "x" * 300)]
)
def test_titles_are_plain(written: str, title: str) -> None:
    assert title_of(written) == title
    assert Chapter(title, "").shown == title[:200]


@pytest.mark.parametrize("line", ["---", "===", "- - -", "***", "\n---"])
def test_a_line_under_a_paragraph_makes_no_title_of_it(line: str) -> None:
    """Kind: the paragraph above a line was a title, and all behind its 200th character was lost."""
    for paragraph in ("It was late.\nNobody came.", "It was late. " * 20):
        [chapter] = chapters_of(f"Before.\n\n{paragraph}\n{line}\nAfter.")
        assert chapter.title == "" and words(chapter.text) == words(f"Before. {paragraph} After.")


def test_a_long_title_is_shown_in_part_and_spoken_as_a_whole() -> None:
    title = "It was late and nobody came. " * 40
    [chapter] = chapters_of(f"# {title}\n\nText.")
    assert len(chapter.shown) == 200 and words(chapter.title) == words(title)
    pieces = pieces_of([(parts(chapter.title), parts(chapter.text))])
    assert all(piece.characters <= PIECE_CHARACTERS for piece in pieces)
    assert [piece.pause for piece in pieces] == [PIECE_PAUSE] * (len(pieces) - 2) + [TITLE_PAUSE, 0.0]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\r\r\n", "\n\r"])
def test_lines_end_as_in_markdown(end: str) -> None:
    """Kind: a line that ended for Markdown and not for the chapters, whose texts were lost."""
    found = chapters_of(end.join(["# One", "", "Hello.", "# Two", "", "Bye."]))
    assert found == [Chapter("One", "Hello."), Chapter("Two", "Bye.")]


BREAKS = ["\n", "\n\n", "\r", "\r\n", "\r\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
LINES = [
    "# ",
    "## ",
    "---",
    "===",
    "- ",
    "> ",
    "a b c. ",
    "A few words ",
    "word " * 50,
    "d, ",
    "*e* ",
    "[f](g) ",
]


@given(st.lists(st.sampled_from(BREAKS + LINES), max_size=14).map("".join))
@example("word " * 50 + "\n---\nb")
@example("a\x0b# b\x0c===\u2028c\r# d\re")
def test_what_is_spoken_of_a_book_is_what_is_spoken_of_its_text(written: str) -> None:
    spoken = [plain_text(part) for chapter in chapters_of(written) for part in (chapter.title, chapter.text)]
    assert re.findall("[a-z]", "".join(spoken).lower()) == re.findall("[a-z]", plain_text(written).lower())


def test_a_long_book_is_cut_quickly() -> None:
    book: Any = [([], [(0, "A sentence of fifty letters or so, as they come.")] * 20_000)]
    assert len(pieces_of(book)) == 20_000 * 48 // (PIECE_CHARACTERS // 48 * 48)
