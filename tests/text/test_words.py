"""Which words of a text are spoken where. Kinds of fault: a word without speech, a word that is markup."""

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from text.chunking import Chunking
from text.normalise import Reading, read_out, spoken_parts
from text.traced import Traced
from text.words import WrittenWord, written_words

WORDS = st.sampled_from(
    [
        *("Anna", "don't", "$5.50", "US$20", "10", "km", "25", "Dec", "2024", "3:45", "pm", "Henry", "VIII"),
        *("FBI's", "Dr.", "Smith", "Llama-3.1-8B", "getUserName", "x²", "72°F", "naïve", "a", "No.", "5"),
        *("U.S.", "e.g.", "7.30pm", "2:1", "1/4", "tsp", "x<y", "<5", "in the '90s", "World War I and II"),
        *("0800 123 4567", "1-800-FLOWERS", "$x^2$"),
    ]
)
MARKS = st.sampled_from([" ", " ", " ", ", ", ". ", "! ", "? ", "\n\n", " **", "** ", " (", ") ", "; "])
TEXTS = st.lists(WORDS | MARKS, min_size=1, max_size=30).map(" ".join)


def timed(
    text: str, reading: Reading = "english", longest: int = 90
) -> tuple[list[Traced], list[WrittenWord]]:
    parts = spoken_parts(read_out(text, reading, 1), Chunking(longest, 1))
    chunks = [Traced.of(part[1]) for part in parts if isinstance(part, tuple)]
    return chunks, written_words(text, chunks)


def said(chunks: list[Traced], word: WrittenWord) -> str:
    return " ".join(str(chunks[span.chunk])[span.first : span.last + 1] for span in word.spoken)


@given(TEXTS, st.sampled_from(["english", "plain"]), st.sampled_from([30, 90]))
@example("25 Dec 2024", "english", 90)
@example("No. 5 Dec 25 km", "english", 30)
def test_each_word_is_spoken_in_its_turn(text: str, reading: Reading, longest: int) -> None:
    if not any(letter.isalnum() for letter in text):
        return
    chunks, words = timed(text, reading, longest)
    written = [token for token in re.split(r"[\s*]+", text) if any(c.isalnum() for c in token)]
    assert [re.sub(r"\W", "", w.text) for w in words] == [re.sub(r"\W", "", token) for token in written]
    assert all(text[word.start : word.end] == word.text for word in words)
    places = [(span.chunk, span.first, span.last) for word in words for span in word.spoken]
    shared = [word for word in words if word.share != (0.0, 1.0)]
    assert places == sorted(places) and all(first <= last for _, first, last in places)
    assert shared or len(set(places)) == len(places)
    letters = {(n, i) for n, chunk in enumerate(chunks) for i, c in enumerate(str(chunk)) if c.isalnum()}
    covered = {(n, i) for n, first, last in places for i in range(first, last + 1)}
    assert letters <= covered


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It costs $5.50.", {"It": "It", "costs": "costs", "$5.50": "five dollars and fifty cents"}),
        ("On 25 Dec 2024", {"25": "the twenty-fifth of", "Dec": "December", "2024": "twenty twenty-four"}),
        ("**bo**ld [my page](https://a.org/b)", {"bold": "bold", "my": "my", "page": "page"}),
        ("<td>Anna</td><td>Boston</td>", {"Anna": "Anna", "Boston": "Boston"}),
        (
            "Fish &amp; Henry VIII, e.g.",
            {"&": "and", "Henry": "Henry", "VIII": "the eighth", "e.g.": "for example"},
        ),
        ("你好。", {"你": "你", "好": "好"}),
        ("ended—finally", {"ended": "ended", "finally": "finally"}),
        ("<b>Hi</b> [pause 1s] `code` <!-- no --> 👍", {"Hi": "Hi", "code": "code"}),
        ('<say-as interpret-as="characters">ab</say-as>', {"ab": "ay bee"}),
        ("AT&T is &euro;5.", {"AT&T": "ay tee and tee", "is": "is", "€5": "five euros"}),
        ("don&apos;t, Jerry&#39;s caf&eacute;", {"don't": "don't", "Jerry's": "Jerry's", "café": "café"}),
        ("The null\x00byte stands", {"The": "The", "nullbyte": "nullbyte", "stands": "stands"}),
        ("see <https://a.org/%7Eb> now", {"https://a.org/%7Eb": "a dot org slash tilde bee", "now": "now"}),
        ("1. Wash.\n2) Cook.", {"1": "one", "Wash": "Wash", "2": "two", "Cook": "Cook"}),
        ("`&euro;5`", {"&euro;5": "and euro;five"}),  # as code it is no entity
    ],
)
def test_what_is_spoken_for_a_word(text: str, spoken: dict[str, str]) -> None:
    chunks, words = timed(text)
    found = {word.text: said(chunks, word) for word in words}
    assert {name: found[name] for name in spoken} == spoken
    assert not any(mark in word.text for word in words for mark in "<>*[`")


ENTITIES = st.sampled_from(
    [
        "R&amp;D",
        "&euro;5",
        "&#65;nna",
        "caf&eacute;",
        "Jerry&#x27;s",
        "&lt;hi&gt;",
        "&quot;so&quot;",
        "don't",
        "AT&T",
    ]
)
TABLE = "\n\n| a | b |\n|---|---|\n| R&amp;D | "


@given(st.lists(ENTITIES | MARKS | st.just(TABLE), min_size=1, max_size=20).map(" ".join))
@example(f"R&D and Q&A cost &euro;5 &amp; &pound;6.{TABLE}&euro;5 |")
@example("Tom said &lt;hi&gt;, one < two, so <3 you.")
def test_entities_are_their_characters_and_each_word_is_there_once(text: str) -> None:
    """Kind of fault: an entity's word stood for the whole text before it, too, or for none of it."""
    if not any(letter.isalnum() for letter in text):
        return
    chunks, words = timed(text, "plain")
    written = re.sub(r"[|*-]", " ", html.unescape(text)).split()
    assert [re.sub(r"\W", "", word.text) for word in words] == [
        re.sub(r"\W", "", token) for token in written if any(letter.isalnum() for letter in token)
    ]
    assert not any(mark in word.shown for word in words for mark in (";s", "&amp;", "&#", "&lt;", "|"))
    assert all(html.unescape(text[word.start : word.end]) == word.text for word in words)
    spoken = [said(chunks, word) for word in words]
    assert re.sub(r"\W", "", "".join(spoken)) == re.sub(r"\W", "", "".join(map(str, chunks)))


def test_signs_that_a_model_reads_itself_belong_to_their_words() -> None:
    _, words = timed("It costs $5.50, or 10% (of 20€).", "plain")
    assert [word.text for word in words] == ["It", "costs", "$5.50", "or", "10%", "of", "20€"]


def test_words_are_shown_with_their_punctuation() -> None:
    _, words = timed('He said: "Hello, **world**!" It (really) costs $5.50… [one](http://x.y).')
    shown = ["He", "said:", '"Hello,', 'world!"', "It", "(really)", "costs", "$5.50…", "one."]
    assert [word.shown for word in words] == shown


def test_several_words_that_are_spoken_as_one_share_it() -> None:
    chunk = Traced.of("World Wide Web").sub(re.compile("World Wide Web"), "web")
    words = written_words("World Wide Web", [chunk])
    assert [word.text for word in words] == ["World", "Wide", "Web"]
    assert [word.share for word in words] == [(0, 5 / 12), (5 / 12, 9 / 12), (9 / 12, 1)]
    assert len({word.spoken for word in words}) == 1


def test_a_word_that_is_cut_is_spoken_in_both_chunks() -> None:
    chunks, (word,) = timed("a" * 50, longest=30)
    assert [span.chunk for span in word.spoken] == [0, 1] and len(chunks) == 2
