"""Where a text is cut. Kinds of fault: a sentence cut in two, a chunk that is too long, lost words."""
# ruff: noqa: RUF001 (full-width punctuation is the matter here)

import re

from hypothesis import given
from hypothesis import strategies as st

from text.chunking import Chunking, chunks, length_of

SIGNS = [*"ab ,.!?;\n'\"“”。，！？你好안", ". ", "! ", "[SPEAKER0]", "[SPEAKER12] ", "...", "? \n"]
TEXTS = st.lists(st.sampled_from(SIGNS)).map("".join)


def letters(text: str) -> list[str]:
    return [letter for letter in re.sub(r"\[SPEAKER\d+\]", "", text) if letter.isalnum()]


@given(TEXTS, st.integers(16, 60), st.sampled_from([None, 1, 2]))
def test_chunks_keep_every_letter_and_the_bound(text: str, longest: int, sentences: int | None) -> None:
    found = chunks(text, Chunking(longest, sentences))
    assert letters("".join(found)) == letters(text)
    assert all(length_of(chunk) <= longest and letters(chunk) for chunk in found)


def test_a_model_that_stops_behind_a_sentence_gets_one_at_a_time() -> None:
    text = 'Ready? "Go!" she said. Wait...\nNo way'
    assert chunks(text, Chunking(90, 1)) == ["Ready?", '"Go!"', "she said.", "Wait...", "No way"]
    assert chunks(text, Chunking(90, 2)) == ['Ready? "Go!"', "she said. Wait...", "No way"]
    assert chunks(text, Chunking(90)) == [text]


def test_a_sentence_longer_than_a_chunk_shares_none_with_the_next() -> None:
    assert chunks("When it rained, we stayed. We read.", Chunking(20, 1)) == [
        *("When it rained,", "we stayed.", "We read."),
    ]


def test_line_breaks_stay_between_the_sentences_of_a_chunk() -> None:
    assert chunks("A title.\nThe text.\n\nMore.", Chunking(20)) == ["A title.\nThe text.", "More."]


def test_chinese_and_japanese_are_cut_behind_sentences_and_count_as_three() -> None:
    sentence = "今天天气很好，我们去公园散步。"
    text = sentence * 40
    found = chunks(text, Chunking(300))
    assert "".join(found) == text and all(chunk.endswith("。") for chunk in found)
    assert {len(chunk) for chunk in found} == {7 * len(sentence), 5 * len(sentence)}
    # As boson's table leaves it for v2.
    assert chunks("你好.今天很好.", Chunking(13)) == ["你好.", "今天很好."]
    assert chunks("好" * 30 + "，" + "好" * 30, Chunking(120)) == ["好" * 30 + "，", "好" * 30]


def test_other_scripts_end_their_sentences_too() -> None:
    assert chunks("नमस्ते। आप कैसे हैं? مرحبا؟ كيف", Chunking(12)) == ["नमस्ते।", "आप कैसे हैं?", "مرحبا؟ كيف"]


def test_a_speaker_s_turn_stays_whole_where_it_fits_and_else_calls_the_speaker_again() -> None:
    text = "[SPEAKER0] Hello there. How are you?\n[SPEAKER1] Fine. And you?"
    assert chunks(text, Chunking(40)) == ["[SPEAKER0] Hello there. How are you?", "[SPEAKER1] Fine. And you?"]
    assert chunks(text, Chunking(80)) == [text]
    assert chunks(text, Chunking(25)) == [
        *("[SPEAKER0] Hello there.", "[SPEAKER0] How are you?", "[SPEAKER1] Fine.", "[SPEAKER1] And you?"),
    ]
