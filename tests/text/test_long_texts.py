"""A text of any length is read in time that grows with it: a rule that doesn't holds up the whole process."""

import pkgutil
import re
import time
from collections.abc import Iterator
from importlib import import_module

import pytest

import text
from concurrency import Cancellation, cancelled_by
from errors import Cancelled
from jobs import book
from text.chunking import Chunking, chunks
from text.english import english_words
from text.letters import LETTERS
from text.markdown import plain_text
from text.markup import text_of
from text.rules import applied

LENGTH = 20_000  # characters; what grows with the square of it takes a hundred times the ceiling or so
CEILING = 0.1  # seconds of CPU for what takes milliseconds
TRIAL, QUICK = 1_000, 2e-4  # what takes less for a short text can't be that slow
# Matched with at most 200 characters.
SHORT = {"text.normalise.LEAD", "text.normalise.INSTRUCTION"}
# What rules look for, over and over, and never its end.
RUNS = [
    *["1", "a", "A", "_", "é", ".", "-", " ", "\n", "[", "<", "`", '"', "'", "|", ",", "…", "😀", "½"],
    *["a.b.c.", "1,1,1,", "111,", "1-", "a-", "-a.", "A. ", "$1 ", "a@", "http://", "+1111111111111111111-"],
    *[
        "<a ",
        "<!--",
        "<?",
        "<SE",
        "<SE>",
        "<sub a=b>",
        "<say-as a=b>",
        "<script>",
        "[pause ",
        "[a](",
        "&amp;",
    ],
    *["- [ ", "FBI ", "IV ", "A-a."],
]


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every regular expression of the texts' modules, with its name."""
    modules = [import_module(f"text.{each.name}") for each in pkgutil.iter_modules(text.__path__)]
    seen = set()
    for module in [*modules, book]:
        for name, value in vars(module).items():
            for each in value if isinstance(value, tuple) else [value]:
                pattern = each[0] if isinstance(each, tuple) and each else each
                if isinstance(pattern, re.Pattern) and pattern not in seen:
                    seen.add(pattern)
                    yield f"{module.__name__}.{name}", pattern


def seconds(pattern: re.Pattern[str], written: str) -> float:
    began = time.thread_time()
    for _ in pattern.finditer(written):
        pass
    return time.thread_time() - began


def test_no_rule_takes_time_that_grows_with_the_square_of_a_text() -> None:
    """Kind: a pattern that reads on to the end of a run from each of its characters. It holds the GIL."""
    rules = [(name, pattern) for name, pattern in patterns() if name not in SHORT]
    assert len(rules) > 100
    for run in RUNS:
        trial, written = ((run * length)[:length] + "x|" for length in (TRIAL, LENGTH))
        for name, pattern in rules:
            if seconds(pattern, trial) > QUICK:
                spent = (seconds(pattern, written) for _ in range(3))
                assert any(each < CEILING for each in spent), (name, pattern.pattern, run)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (
            ".my-config.json, Foo-bar.com, ...GPT-4",
            ".my-config dot json, Foo-bar dot com, ...gee pee tee four",
        ),
        ("1.Foo-2, Llama-3.1-8B, well-known", "one.Foo two, Llama three point one eight bee, well-known"),
        ("x - 5 - 3 = 2; 10-7", "ex - five minus three equals two; ten to seven"),
        ("A. B. U.S. is; Plan B.\nJ. R. Tolkien", "ay bee you ess is; Plan bee. jay ar Tolkien"),
        ("+49 (0)30 1234567", "plus four nine, zero, three zero, one two three four five six seven"),
        (
            "+49 30 1234567 10 0 0 1",
            "plus four nine, three zero, one two three four five six seven, one zero, zero, zero one",
        ),
        ("5,10%; 1,2,3", "five,ten percent; one, two, three"),
        ("THE FBI; an FBI", "THE eff bee eye; an eff bee eye"),
    ],
)
def test_what_begins_behind_something_alike_is_found(written: str, read: str) -> None:
    assert " ".join(english_words(written).split()) == read


def test_parts_without_an_end_take_nothing_with_them() -> None:
    assert text_of("A <!-- b <!-- c --> d <!-- e") == "A   d <!-- e"
    assert text_of("<script>if (a<b) x</script>f <script>g") == " f <script>g"
    assert text_of("<?php a ?>h <? i") == " h <? i"
    assert text_of("<sub alias='k'>l <sub alias='m'>n</sub>") == "l m"


def test_long_rows_of_initialisms_are_read_by_their_neighbours_only() -> None:
    """Kind: the text before each was searched, minutes for a book."""
    assert applied("The FBI. " * 15_000, LETTERS).count("eff bee eye") == 15_000


def test_a_sentence_of_any_length_is_split() -> None:
    """Kind: what was left of it was measured again behind each part: a minute of a million characters."""
    assert len(chunks("word " * 50_000, Chunking(50))) == 5_000


def test_a_table_of_rules_only_is_read() -> None:
    """Kind: each line that rules a table marked all lines behind it."""
    assert plain_text("|-\n" * 4_000) == ""


def test_reading_stops_when_the_client_has_left() -> None:
    gone = Cancellation()
    gone.cancel()
    with cancelled_by(gone), pytest.raises(Cancelled):
        english_words("A book.")
