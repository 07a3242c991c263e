"""Subtitles of a speech: its words grouped into cues."""

import re
from collections.abc import Iterator, Sequence

from api.schemas.timestamps import CaptionFormat
from api.transcript_formats import srt, vtt
from asr.transcript import Segment, Transcript
from synthesis.word_times import WordTime
from text.chunking import SENTENCE_ENDS, WIDE, WIDE_LETTER
from text.english import ends_sentence

MAX_CHARACTERS = 84  # two lines of 42, usual for subtitles; a wide letter is shown as two
MAX_PAUSE = 1.0  # seconds; a longer pause starts a new cue
# Each letter of Chinese or Japanese is a word, written without a space between.
BETWEEN_WIDE = re.compile(rf"(?<=[{WIDE}。！？，、；：（）「」『』【】]) (?=[{WIDE}（「『【])")  # noqa: RUF001
OPENING, CLOSING = "\"'([“‘«", "\"')]”’»"  # noqa: RUF001


def captions(words: Sequence[WordTime], format: CaptionFormat) -> str:
    """Return a subtitle file for words in order."""
    segments = tuple(Segment(_line(cue), cue[0].start, cue[-1].end) for cue in cues(words))
    transcript = Transcript("en", words[-1].end if words else 0.0, segments)
    return srt(transcript) if format == "srt" else vtt(transcript)


def cues(words: Sequence[WordTime]) -> Iterator[list[WordTime]]:
    """Group words that are shown together: at most a sentence or line of the text, and two lines of 42."""
    cue: list[WordTime] = []
    length = 0
    for word in words:
        width = len(word.shown) + len(WIDE_LETTER.findall(word.shown))
        full = length + width > MAX_CHARACTERS
        if cue and (full or _ends(cue, word) or word.start - cue[-1].end > MAX_PAUSE):
            yield cue
            cue, length = [], 0
        cue.append(word)
        length += width + 1
    if cue:
        yield cue


def _line(cue: Sequence[WordTime]) -> str:
    return BETWEEN_WIDE.sub("", " ".join(word.shown for word in cue))


def _ends(cue: Sequence[WordTime], following: WordTime) -> bool:
    """Return whether a sentence or a line ends before the following word."""
    shown = cue[-1].shown.strip(OPENING + CLOSING)
    if cue[-1].ends_line or not shown.endswith("."):
        return cue[-1].ends_line or shown.endswith(SENTENCE_ENDS)
    return ends_sentence(shown.rstrip("."), following.shown.lstrip(OPENING)[:1], first=len(cue) == 1)
