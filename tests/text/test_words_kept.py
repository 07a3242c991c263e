"""No word of a text is lost, and no markup is read aloud.

Kind of fault: a reader of Markdown, HTML or SSML that takes words for its own marks ("[Anna]: Yes" was a
link's definition).
"""
# ruff: noqa: RUF001 (phonetic letters that look alike)

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from errors import InvalidRequest
from text.chunking import Chunking
from text.markdown import plain_text
from text.markup import text_of
from text.normalise import read_out, speakable, spoken_parts

WORDS = st.sampled_from(
    ["Anna", "yes", "Chapter", "one", "hello", "x", "b", "break", "say", "Zoë", "naïve", "7", "42"]
)
MARKS = st.sampled_from(
    [
        *"*_~#>|`-+=:.,!?()[]'\"\\/ \n",
        "\n\n",
        "]: ",
        "[",
        "**",
        "__",
        "~~",
        "~~~",
        "---",
        "|---|",
        "- ",
        "1. ",
        "2) ",
        "> ",
        "    ",
        "\t",
        "[^",
        "[x] ",
        ": ",
        "</b>",
        "<p>",
        "<b>",
        "<br/>",
        "< ",
        " > ",
        "<",
        ">",
        "&amp;",
        "👍",
    ]
)
TEXTS = st.lists(WORDS | MARKS, min_size=1, max_size=30).map("".join)
# What isn't said: addresses of links, languages behind ```, marks of footnotes, ticked boxes, tags, entities.
UNSAID = re.compile(r"\]\(|`|\[\^|\[[xX ]\]|</?\w+\s*/?>|<[^<>]*=[^<>]*>|<[?!]|&amp;")


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


@given(TEXTS)
@example("[Anna]: Yes\n[Bob]: No!")
@example("[Note]: Important")
@example("[Anna]: /yes\nhello")
@example("| a | b |\n|---|---|\n| c | d | e |")
@example("~~~ Chapter one ~~~\nhello")
@example("[Anna]:\nYes\n'one'")
@example("    [Anna]: Yes")
@example("If Anna<b and x>7, one<b or 7>42")
@example("<b and Anna> or <x say>hello")
def test_all_words_are_spoken_in_their_order(text: str) -> None:
    said = UNSAID.sub(" ", text)
    assert "".join(words(plain_text(text_of(said)))) == "".join(words(said))


@given(st.lists(WORDS, min_size=1, max_size=12).map(" ".join))
def test_speech_markup_is_silent_and_its_words_are_said(text: str) -> None:
    """SSML and HTML around each word; what is said is the words."""
    marked = "".join(
        f'<s><emphasis level="strong">{word}</emphasis></s> <prosody rate="slow"/>' for word in text.split()
    )
    document = f'<?xml version="1.0"?><speak version="1.1" xml:lang="en"><!-- x --><p>{marked}</p></speak>'
    assert words(speakable(document, "plain")) == words(text)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<p>Hello <b>world</b></p>", "Hello world."),
        ('<emphasis level="strong">Now</emphasis> go!', "Now go!"),
        ('<sub alias="World Wide Web">WWW</sub>', "World Wide Web."),
        ('<say-as interpret-as="characters">ab1</say-as>', "A B 1."),
        ('<say-as interpret-as="digits">123</say-as>', "1 2 3."),
        ('<say-as interpret-as="ordinal">22</say-as> of May', "22nd of May."),
        ('<say-as interpret-as="date">May 5</say-as>', "May 5."),
        ('<phoneme alphabet="ipa" ph="təˈmeɪtoʊ">tomato</phoneme>', "tomato."),
        ('<amazon:effect name="whispered">psst</amazon:effect>', "psst."),
        ("<ul><li>One</li><li>Two</li></ul>", "One.\nTwo."),
        ("<table><tr><td>A</td><td>B</td></tr></table>", "A, B,"),
        ('A <img src="x.png" alt="small cat"> sits.', "A small cat sits."),
        ("Hi <script>var x = 1;</script><style>p{}</style><!-- no -->there.", "Hi there."),
        ("Dear <name>, 2 < 3 and 5 > 4.", "Dear <name>, 2 < 3 and 5 > 4."),
        ("Write `<b>` for bold.", "Write <b> for bold."),
        ("If a<b and c>d then <i think>.", "If a<b and c>d then <i think>."),
        ("<input disabled><a hidden href=x data-on>go</a>", "go."),
        ('<say-as interpret-as="digits">1 < 2 and <b>34</b> > 2</say-as>', "1 < 2 and 3 4 > 2."),
        ("See [the page][1].\n\n[1]: https://a.org/b 'T'", "See the page."),
        ("[Source]: https://a.org/b", "[Source]: https://a.org/b."),
        ("1️⃣ First © 2024", "1 First © 2024."),
        ("Done[^1].\n\n[^1]: A note.", "Done.\nA note."),
    ],
)
def test_markup_is_not_read_aloud(written: str, read: str) -> None:
    assert speakable(written, "plain") == read


def test_breaks_of_a_strength_are_pauses() -> None:
    text = "<speak>One.<break strength='strong'/>Two.<break/>Three.</speak>"
    assert spoken_parts(read_out(text, "plain", voices=1), Chunking(90)) == [
        *((0, "One."), 0.75, (0, "Two."), 0.5, (0, "Three.")),
    ]


def test_a_part_without_words_between_pauses_is_passed_over() -> None:
    """Kind: a picture behind a pause refused the whole text."""
    read = read_out("One. [pause 1s] ![](a.png) [pause 1s]\n\n---\n", "plain", voices=1)
    assert spoken_parts(read, Chunking(90)) == [(0, "One."), 1.0, 1.0]
    with pytest.raises(InvalidRequest):
        read_out("[pause 1s] ![](a.png)", "plain", voices=1)


@pytest.mark.parametrize("letter", [*"πµßłøΩæœđðþıŁØβ", "ŋ", "ĳ", "ﬁ"])
def test_one_letter_of_another_alphabet_is_read_in_english_ones(letter: str) -> None:
    """Kind of fault: one letter that the bundled model's tokenizer lacks refused a whole text."""
    spoken = speakable(f"The letter {letter} and a{letter}b.", "english")
    assert spoken.isascii() or "ﬁ" in letter or "ĳ" in letter
    assert spoken.count(" and ") == 1


@given(
    st.text(st.characters(codec="latin-1") | st.sampled_from("łŒœŠšŽžπΣαβγħŧ½²√÷≤")),
    st.sampled_from(["plain", "english"]),
)
@example("Part Chicago, Henry IVory, Louis IIX, Chapter IC", "english")
def test_no_text_breaks_the_reading(text: str, reading: str) -> None:
    try:
        assert speakable(text, reading)  # type: ignore[arg-type]
    except InvalidRequest as refused:
        assert refused.code == "text_empty"


@pytest.mark.parametrize(
    "unit",
    ["<", "<b ", "<!--", "[a]: ", "`", "```", "|a", "a_", "$5-", "1/", "A.", "<sub ", "a.b-", "1-1", "1 h "],
)
def test_long_texts_take_no_time(unit: str) -> None:
    import time

    began = time.perf_counter()
    speakable("x " + unit * (4_096 // len(unit)), "english")
    assert time.perf_counter() - began < 3
