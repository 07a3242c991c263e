"""How texts are read: Markdown and emoji are dropped, and in English everything becomes words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidRequest
from text.english import english_words
from text.markdown import plain_text
from text.normalise import chosen_reading, speakable


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Hello world.", "Hello world."),
        ("# A title\n\nHello *you* and **her**, `x` too.", "A title.\nHello you and her, x too."),
        ("- one\n- two\n\n1. first\n2. second", "one.\ntwo.\n1. first.\n2. second."),
        ("1984. What a year.", "1984. What a year."),
        ("> A [link](http://a.b) and ![a picture](x.png)", "A link and a picture."),
        ("```py\nprint(1)\n```\n\n---\n\nDone!", "print(1)\nDone!"),
        ("| a | b |\n|---|---|\n| c | d |", "a, b.\nc, d."),
        ("Fish &amp; chips 👍🏽🇩🇪!", "Fish & chips   !"),
        ("2*3*4 or 2 * 3", "2*3*4 or 2 * 3."),
        ("[SPEAKER0] Ha [laugh]\nsnake_case_name <SE>[Music]</SE>",) * 2,
    ],
)
def test_plain_text_is_what_a_reader_sees(written: str, read: str) -> None:
    assert plain_text(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (
            "3 cats, 21 dogs, 1,234 mice",
            "three cats, twenty-one dogs, one thousand two hundred and thirty-four mice",
        ),
        (
            "3.14, .5, 007, 2.0.1",
            "three point one four, zero point five, zero zero seven, two point zero point one",
        ),
        ("1,2,3 -5°C", "one, two, three minus five degrees Celsius"),
        ("12345678901234567890", "one two three four five six seven eight nine zero " * 2),
        ("$5.50, $0.99, €20", "five dollars and fifty cents, ninety-nine cents, twenty euros"),
        ("£1.01, £2.02", "one pound and one penny, two pounds and two pence"),
        ("$1, $3k, ¥500", "one dollar, three thousand dollars, five hundred yen"),
        ("$2.5 million", "two point five million dollars"),
        ("50%, 1/2, 5/8, 24/7", "fifty percent, one half, five eighths, twenty-four seven"),
        ("3:30 pm, 3pm, 14:05, 9:00", "three thirty pee em, three pee em, fourteen oh five, nine o'clock"),
        ("See you at 3 p.m. Then go.", "See you at three pee em. Then go."),
        (
            "in 1984, 2005, the 1990s and '80s",
            "in nineteen eighty-four, two thousand and five, the nineteen nineties and eighties",
        ),
        (
            "2024-12-25, Dec. 25, 2024",
            "December twenty-fifth, twenty twenty-four, December twenty-fifth, twenty twenty-four",
        ),
        ("the 2nd, May 5th, March 3.", "the second, May fifth, March third."),
        ("1 km, 10 km/h, 5 kg, 6 ft", "one kilometer, ten kilometers per hour, five kilograms, six feet"),
        ("555-1234, 10-15", "five five five, one two three four, ten to fifteen"),
        ("2+2=4, 6*7", "two plus two equals four, six times seven"),
        ("GPT-4, B2B, 3D, #1, ~5", "gee pee tee four, bee two bee, three dee, number one, about five"),
        (
            "Dr. Smith vs. Mr Jones, St. Mary, Main St., No. 5",
            "Doctor Smith versus Mister Jones, Saint Mary, Main Street, number five",
        ),
        (
            "Pears etc. Then Cats etc. are, e.g., nice.",
            "Pears et cetera. Then Cats et cetera are, for example, nice.",
        ),
        ("the U.S. is; AT&T", "the you ess is; ay tee and tee"),
        (
            "https://www.a-b.com/c_d?x=1#top, me@b.org.",
            "a dash bee dot com slash see underscore dee, me at bee dot org.",
        ),
        ("[SPEAKER0] 2 <SE>[Laughter]</SE>", "[SPEAKER0] two <SE>[Laughter]</SE>"),
        ("It's five o'clock; well-known words stay.",) * 2,
        ("1. Wash.\n2) 2 cups.\n1984. A year.", "one, Wash. two, two cups. nineteen eighty-four. A year."),
        ("He ate\n5. Then he left.", "He ate five. Then he left."),
    ],
)
def test_english_words_are_what_a_reader_says(written: str, read: str) -> None:
    assert " ".join(english_words(written).split()) == read.strip()


# What numbers are made of, more often than chance would.
MIXED = st.lists(st.sampled_from([*"0123456789", *"$£%.,:/-+ \n#'*|", "km", "pm", "st", "May ", "x"])).map(
    "".join
)


@given(MIXED | st.text())
def test_no_text_breaks_the_reading_and_no_digit_is_left(text: str) -> None:
    spoken = english_words(plain_text(text))
    assert not any(sign.isdecimal() for sign in spoken)


@pytest.mark.parametrize("number", ["9" * 5_000, "$" + "9" * 5_000, "9" * 5_000 + "th", "1," * 2_000])
def test_numbers_that_no_one_says_are_read_digit_by_digit(number: str) -> None:
    assert "nine nine" in english_words(number) or "one, one" in english_words(number)


def test_the_reading_is_the_setting_s_and_auto_knows_the_model() -> None:
    text = "**3 cats** 👍"
    assert speakable(text) == "**3 cats** 👍."
    assert speakable(text, "plain") == "3 cats."
    assert speakable(text, "english") == "three cats."
    assert chosen_reading("auto", english_only=True) == "english"
    assert chosen_reading("auto", english_only=False) == "plain"
    assert chosen_reading("verbatim", english_only=True) == "verbatim"


@pytest.mark.parametrize("reading", ["plain", "english"])
def test_nothing_but_marks_is_nothing_to_speak(reading: str) -> None:
    with pytest.raises(InvalidRequest):
        speakable("[](http://a.b) --- 👍", reading)  # type: ignore[arg-type]


def test_markdown_opens_no_way_to_the_model_s_own_tokens() -> None:
    assert "eot_id" not in speakable(r"x <|eot\_id|> <\|eot_id|\> <|eot**_id**|>", "english")
