"""A transcript's segments, cut where another speaker says the next word."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

from asr.transcript import Segment

# From when to when, in seconds → the number of who speaks.
SpeakerOf = Callable[[float, float], int]


def by_speaker(segment: Segment, speaker_of: SpeakerOf) -> Iterator[tuple[int, Segment]]:
    """Yield the parts of a segment, each with its speaker; their texts make up the segment's.

    A word belongs to who speaks most while it is said. A segment without words is one part.
    """
    if not segment.words:
        yield speaker_of(segment.start, segment.end), segment
        return
    runs = [
        (speaker, tuple(words))
        for speaker, words in groupby(segment.words, lambda word: speaker_of(word.start, word.end))
    ]
    cuts, at = [0], 0
    for _, words in runs[:-1]:
        for word in words:
            place = segment.text.find(word.text, at)
            at = at if place < 0 else place + len(word.text)
        cuts.append(at)
    cuts.append(len(segment.text))
    for (speaker, words), first, last in zip(runs, cuts, cuts[1:], strict=False):
        part = replace(segment, text=segment.text[first:last], words=words)
        yield speaker, replace(part, start=words[0].start, end=words[-1].end)
