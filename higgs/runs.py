"""Runs of sound: the text chunks that one decoder speaks, with pauses between the runs."""

from collections.abc import Iterator, Sequence

from higgs.segments import TextChunk


def runs_of(chunks: range, texts: Sequence[TextChunk]) -> Iterator[range]:
    """Split chunks behind each that a pause follows.

    A decoder would blur the end of a sentence into the first sound of the next.
    """
    begin = chunks.start
    for index in chunks:
        if texts[index].pause or index == chunks[-1]:
            yield range(begin, index + 1)
            begin = index + 1
