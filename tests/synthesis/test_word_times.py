"""Words and their times. Kinds of fault: a time outside of the audio, another word's; a word told twice."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from higgs.codecs.vocoder.reading import sounds_read
from higgs.spoken import SpokenText
from synthesis.word_times import Span, WordTimes, filled
from tests.higgs.test_reading import SPOKEN, TEXT, codes_of
from text.traced import Traced

RATE = 24_000


def nobody(samples: np.ndarray, words: Sequence[str]) -> Sequence[Span | None]:
    raise AssertionError("the codes tell")


def spoken(text: str, frames: int, start: float = 0.0, heard: float = 0.0) -> SpokenText:
    codes = torch.zeros(8, frames, dtype=torch.int64)
    return SpokenText(Traced.of(text), start, start + frames / 25, heard, codes=codes)


def test_the_codes_tell_the_times_of_a_text_under_way_and_each_word_once() -> None:
    codes = codes_of(SPOKEN)
    times = WordTimes(TEXT, [SpokenText(Traced.of(TEXT), 0, 0)], sounds_read, nobody)
    told = []
    for frames in range(0, codes.shape[1] + 1, 3):
        told += times.ready(
            [SpokenText(Traced.of(TEXT), 0, frames / 25, codes=codes[:, :frames], whole=False)]
        )
    assert [word.word for word in told] == ["The", "cat"]
    told += times.rest([SpokenText(Traced.of(TEXT), 0, 1.2, codes=codes)], 1.2)
    assert [(word.word, word.start, word.end) for word in told] == [
        ("The", 2 / 25, 5 / 25),
        ("cat", 5 / 25, 15 / 25),
        ("sat", 17 / 25, 25 / 25),
    ]
    assert not times.rest([], 1.2) and not times.ready([])


def test_tempo_and_what_is_before_are_counted() -> None:
    chunk = SpokenText(Traced.of(TEXT), 0, 1.2, heard=3.0, tempo=2.0, codes=codes_of(SPOKEN))
    words = WordTimes(TEXT, [chunk], sounds_read, nobody).rest([chunk], 4.0)
    assert (words[0].start, words[-1].end) == (3.0 + 1 / 25, 3.5)
    cut = WordTimes(TEXT, [chunk], sounds_read, nobody).rest([chunk], 3.4)
    assert cut[-1].end == 3.4


def test_no_word_ends_behind_the_last_sound() -> None:
    chunk = SpokenText(Traced.of(TEXT), 0, 1.2, heard=3.0, tempo=2.0, codes=codes_of(SPOKEN))
    times = WordTimes(TEXT, [chunk], sounds_read, nobody)
    times.push(np.concatenate([np.full(24 * 960, 0.1, np.float32), np.zeros(6 * 960, np.float32)]))
    assert times.rest([chunk], 4.0)[-1].end == 3.0 + 24 / 25 / 2


def test_no_word_ends_within_the_pause_behind_it() -> None:
    """The silence before a pause is cut, so the last word waits until it is known where."""
    text = f"{TEXT} It ran."
    one, two = Traced.of(text)[: len(TEXT)], Traced.of(text)[len(TEXT) + 1 :]
    first = SpokenText(one, 0, 1.2, codes=codes_of(SPOKEN), until=None)
    later = SpokenText(two, 1.2, 1.2, heard=1.4)
    times = WordTimes(text, [first, later], sounds_read, nobody)
    assert [word.word for word in times.ready([first, later])] == ["The", "cat"]
    [last] = times.ready([replace(first, until=0.9), later])
    assert (last.word, last.start, last.end) == ("sat", 17 / 25, 0.9)


def test_an_aligner_hears_each_chunk_alone_and_in_spoken_words() -> None:
    asked: list[tuple[int, list[str]]] = []

    def align(samples: np.ndarray, words: Sequence[str]) -> list[Span | None]:
        asked.append((len(samples), list(words)))
        return [(n / 10, (n + 1) / 10) for n in range(len(words))]

    text = "It costs $5. Fine!"
    one = Traced.of(text)[:12]
    chunks = [spoken("It costs $5.", 20), spoken("Fine!", 10, start=0.8, heard=2.0)]
    chunks = [
        SpokenText(part, each.start, each.end, each.heard, codes=each.codes)
        for part, each in zip((one, Traced.of(text)[13:]), chunks, strict=True)
    ]
    times = WordTimes(text, chunks, None, align)
    times.push(np.ones(30 * 960, np.float32))
    found = times.rest(chunks, 3.0)
    assert asked == [(20 * 960, ["It", "costs", "five", "dollars"]), (10 * 960, ["Fine"])]
    assert [(w.word, round(w.start, 3), round(w.end, 3)) for w in found] == [
        *[("It", 0.0, 0.1), ("costs", 0.1, 0.2), ("$5", 0.2, 0.4), ("Fine", 2.0, 2.1)],
    ]


def test_words_that_are_not_found_share_the_time_between_their_neighbours() -> None:
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE // 2 : 3 * RATE // 2] = 0.5
    assert filled([None, None], [1, 3], samples) == [(0.5, 0.75), (0.75, 1.5)]
    assert filled([(0.5, 0.6), None, (1.0, 1.1), None], [2, 2, 2, 2], samples) == [
        *((0.5, 0.6), (0.6, 1.0), (1.0, 1.1), (1.1, 1.5)),
    ]


def test_what_was_never_spoken_has_a_moment_all_the_same() -> None:
    chunks = [SpokenText(Traced.of("One.") + "", 0, 0), SpokenText(Traced.of("One. Two.")[5:], 0, 0)]
    words = WordTimes("One. Two.", chunks, sounds_read, nobody).rest(chunks, 0.5)
    assert [(word.word, word.start, word.end) for word in words] == [("One", 0, 0), ("Two", 0, 0)]
