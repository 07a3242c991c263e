"""When each word of a text is spoken, in seconds of the audio sent.

Words are those of the text as written (text.words). If the codec has a codebook of sounds, the codes tell the
times, even while the text is still being spoken. Otherwise, a forced aligner is asked once a chunk is
complete. Words that it can't place share the time between their neighbours.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audio.frames import FRAME_RATE, SAMPLE_RATE
from audio.quiet_ends import Sounding
from higgs.codecs.base import SoundReader
from higgs.spoken import SampleBuffer, SpokenText
from text.chunking import is_spoken
from text.english import english_words
from text.traced import Traced
from text.words import SpokenSpan, WrittenWord, written_words

Span = tuple[float, float]  # seconds
# Samples (N,) at 24 kHz, and the words spoken in them → when each is spoken; None for those not found.
Align = Callable[[np.ndarray, Sequence[str]], Sequence[Span | None]]

LATER_SOUNDS = 2  # sounds after a word that make its end certain


@dataclass(frozen=True)
class WordTime:
    """A word that ends before character `until` of the text, and when it is spoken, in seconds.

    shown: the word with the punctuation around it.
    ends_line: whether the next word stands on another line.
    """

    word: str
    start: float
    end: float
    until: int
    shown: str
    ends_line: bool


@dataclass(frozen=True)
class SpokenLetter:
    """A character of a chunk, by its index, and when it is spoken, in seconds of the audio sent."""

    start: float
    end: float
    letter: int


class WordTimes:
    """The times of a speech's words: `ready` while it is spoken, `rest` at its end; each comes once."""

    def __init__(
        self, text: str, spoken: Iterable[SpokenText], reader: SoundReader | None, align: Align
    ) -> None:
        """Prepare the words of a text.

        Args:
            text: as written.
            spoken: its chunks, spoken or still to come.
            reader: reads sounds from codes; None if the codec has none.
            align: the forced aligner.
        """
        chunks = [Traced.of(chunk.text) for chunk in spoken]
        self._words = written_words(text, chunks)
        self._reader, self._align = reader, align
        self._said: dict[int, list[SpokenLetter]] = {}  # of chunks that are whole
        self._next, self._until = 0, 0.0
        self.samples, self._sounding = SampleBuffer(), Sounding()

    def push(self, samples: np.ndarray) -> None:
        """Take samples (n,) at 24 kHz as the model speaks them; only an aligner needs to keep them."""
        self._sounding.push(samples)
        if self._reader is None:
            self.samples.append(samples)

    def ready(self, spoken: Sequence[SpokenText]) -> list[WordTime]:
        """Return the words whose times have become certain, given the chunks so far."""
        said = {number: self._letters(number, chunk) for number, chunk in enumerate(spoken)}
        found = []
        while self._next < len(self._words) and _settled(self._words[self._next], spoken, said):
            found.append(self._timed(self._words[self._next], said))
            self._next += 1
        return found

    def rest(self, spoken: Sequence[SpokenText], seconds: float) -> list[WordTime]:
        """Return the remaining words of a speech that has ended, `seconds` long."""
        said = {number: self._letters(number, chunk) for number, chunk in enumerate(spoken)}
        latest = min(seconds, self._last_sound(spoken))
        found = [self._timed(word, said, latest) for word in self._words[self._next :]]
        self._next = len(self._words)
        return found

    def _last_sound(self, spoken: Sequence[SpokenText]) -> float:
        """Return when the last sound ends, in seconds of the audio that goes out; infinity if unknown."""
        if not spoken or not self._sounding.end:
            return float("inf")
        last = spoken[-1]
        return last.heard + max(self._sounding.end / SAMPLE_RATE - last.start, 0.0) / last.tempo

    def _timed(
        self, word: WrittenWord, said: dict[int, list[SpokenLetter]], latest: float = float("inf")
    ) -> WordTime:
        """Return when a word is spoken, not before the end of the previous one."""
        spans = [_span(said[span.chunk], span) for span in word.spoken]
        start = min((span[0] for span in spans if span), default=self._until)
        end = max((span[1] for span in spans if span), default=start)
        first, last = (start + share * (end - start) for share in word.share)
        first = min(max(first, self._until), latest)
        self._until = min(max(last, first), latest)
        return WordTime(word.text, first, self._until, word.end, word.shown, word.ends_line)

    def _letters(self, number: int, chunk: SpokenText) -> list[SpokenLetter]:
        """Return when the letters of a chunk are spoken; an aligner can tell only once it is complete."""
        if number not in self._said:
            letters = list(self._found(chunk))
            if not chunk.whole or chunk.until is None:
                return letters
            self._said[number] = letters
        return self._said[number]

    def _found(self, chunk: SpokenText) -> Iterator[SpokenLetter]:
        if chunk.codes is None or not chunk.codes.shape[1]:
            return
        if self._reader is not None:
            sounds = self._reader(chunk.codes, chunk.text, chunk.whole)
            found = [((s.start / FRAME_RATE, s.end / FRAME_RATE), s.letter) for s in sounds]
        elif chunk.whole:
            first, last = (round(seconds * SAMPLE_RATE) for seconds in (chunk.start, chunk.end))
            found = list(aligned(chunk.text, self.samples.samples[first:last], self._align))
        else:
            return
        latest = math.inf if chunk.until is None else chunk.until
        for (start, end), letter in found:
            begun, ended = (min(chunk.heard + time / chunk.tempo, latest) for time in (start, end))
            yield SpokenLetter(begun, ended, letter)


def aligned(text: str, samples: np.ndarray, align: Align) -> Iterator[tuple[Span, int]]:
    """Yield when each letter of a text is spoken in samples (N,); numbers and signs as English words."""
    said = english_words(Traced.of(str(text)))
    words = [list(word) for word in _words(said)]
    if not words:
        return
    found = align(samples, ["".join(said[place] for place in word) for word in words])
    for word, (start, end) in zip(words, filled(found, list(map(len, words)), samples), strict=True):
        each = (end - start) / len(word)
        for number, place in enumerate(word):
            written = range(said.starts[place], said.ends[place])
            letter = next((at for at in written if is_spoken(text[at])), said.starts[place])
            yield (start + number * each, start + (number + 1) * each), letter


def filled(found: Sequence[Span | None], lengths: Sequence[int], samples: np.ndarray) -> list[Span]:
    """Return the times of all words; words not found share, by length, the time between their neighbours."""
    begin, end = sounding(samples)
    times: list[Span] = []
    for number, span in enumerate(found):
        after = times[-1][1] if times else begin
        if span is None:
            following = next(((n, s) for n, s in enumerate(found[number:], number) if s), None)
            count, limit = (len(found), end) if following is None else (following[0], following[1][0])
            share = lengths[number] / sum(lengths[number:count])
            span = (after, after + share * max(limit - after, 0.0))
        times.append(span)
    return times


def sounding(samples: np.ndarray) -> Span:
    """Return the start and end of the sound in samples (N,), in seconds."""
    track = Sounding()
    starts = track.push(samples)
    end = track.end if starts else len(samples)
    return (starts[0] / SAMPLE_RATE if starts else 0.0), end / SAMPLE_RATE


def _words(said: Traced) -> Iterator[range]:
    """Yield the characters of each word."""
    begin: int | None = None
    for place, letter in enumerate(f"{said} "):
        inside = letter.isalnum() or (letter in "'’" and begin is not None)  # noqa: RUF001
        if inside and begin is None:
            begin = place
        elif not inside and begin is not None:
            yield range(begin, place)
            begin = None


def _span(letters: Sequence[SpokenLetter], span: SpokenSpan) -> Span | None:
    """Return when a span is spoken; if no letter of it is, the gap between the letters around it."""
    inside = [each for each in letters if span.first <= each.letter <= span.last]
    if inside:
        return inside[0].start, inside[-1].end
    before = [each.end for each in letters if each.letter < span.first]
    after = [each.start for each in letters if each.letter > span.last]
    if not before and not after:
        return None
    start = before[-1] if before else after[0]
    return start, (after[0] if after else start)


def _settled(word: WrittenWord, spoken: Sequence[SpokenText], said: dict[int, list[SpokenLetter]]) -> bool:
    """Return whether a word's time is final: its letters are spoken, and some after it.

    The last words of a text, and those before a pause, wait for its end, since trailing silence may be cut.
    """
    *before, last = word.spoken
    if not all(spoken[span.chunk].whole for span in before):
        return False
    later = [each for each in said[last.chunk] if each.letter > last.last]
    chunk = spoken[last.chunk]
    ended = chunk.whole and chunk.until is not None and last.chunk < len(spoken) - 1
    return ended or len(later) >= LATER_SOUNDS
