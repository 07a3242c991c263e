"""Where known words are in speech. Kinds of fault: words that no dictionary has, other sound."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from asr.spelled_phones import phones_of
from asr.sphinx import Sphinx
from asr.transcriber import Transcriber
from asr.transcript import Word
from asr.word_places import places
from audio.decode import decode_audio
from tests.live import ROOT

WORDS = (ROOT / "test_audio.txt").read_text().replace(",", " ").replace(".", " ").split()


@pytest.fixture(scope="module")
def transcriber() -> Iterator[Transcriber]:
    transcriber = Transcriber(Sphinx)
    yield transcriber
    transcriber.close()


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return decode_audio((ROOT / "test_audio.wav").read_bytes())


def test_known_words_are_found_in_order(transcriber: Transcriber, speech: np.ndarray) -> None:
    found = transcriber.align(speech, 24_000, WORDS)
    assert all(span is not None for span in found)
    spans = [span for span in found if span is not None]
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] + 1e-9 for one, other in pairwise(spans))
    assert spans[0][0] >= 0 and spans[-1][1] <= len(speech) / 24_000
    # The same by the free recognition, where that heard the same word.
    heard = {word.text: word for word in transcriber.transcribe(speech, 24_000).words}
    alike = [
        (span, heard[word.lower()]) for word, span in zip(WORDS, spans, strict=True) if word.lower() in heard
    ]
    assert len(alike) > len(WORDS) / 3
    near = [abs(span[0] - word.start) < 0.1 and abs(span[1] - word.end) < 0.1 for span, word in alike]
    assert sum(near) >= 0.8 * len(near)


def test_a_word_that_no_dictionary_has_is_found_by_its_spelling(
    transcriber: Transcriber, speech: np.ndarray
) -> None:
    respelled = [f"{word[0]}xq{word[1:]}" if number == 1 else word for number, word in enumerate(WORDS)]
    plain, found = (transcriber.align(speech, 24_000, words) for words in (WORDS, respelled))
    starts = [[span[0] for span in spans if span] for spans in (plain, found)]
    assert starts[1][3:] == pytest.approx(starts[0][3:], abs=0.1) and len(starts[1]) == len(WORDS)


@pytest.mark.parametrize("words", [["good", "morning"], ["你好"]])
def test_what_is_not_said_is_not_found(transcriber: Transcriber, words: list[str]) -> None:
    assert transcriber.align(np.zeros(24_000, np.float32), 24_000, words) == [None] * len(words)


def test_words_are_found_among_those_that_were_heard_otherwise() -> None:
    heard = [Word("Heloo,", 0.0, 0.5, 1.0), Word("wor", 0.6, 0.8, 1.0), Word("ld!", 0.8, 1.0, 1.0)]
    (hello, world, more) = places(heard, ["Hello", "world", "zzz"])
    assert hello == pytest.approx((0.0, 0.5)) and world == pytest.approx((0.6, 1.0)) and more is None
    assert places([], ["a"]) == [None]


@pytest.mark.parametrize(
    ("word", "phones"),
    [("cat", "K AE T"), ("shone", "SH OW N"), ("Zoë", "Z OW EH"), ("你", ""), ("xq", "K S K")],
)
def test_phones_of_a_spelling(word: str, phones: str) -> None:
    assert " ".join(phones_of(word)) == phones
