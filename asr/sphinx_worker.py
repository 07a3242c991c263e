"""The process that runs pocketsphinx: `python -m asr.sphinx_worker`.

pocketsphinx holds the GIL while it decodes, which would stall an engine in the same process.

Protocol: stdin has utterances, each two lengths in bytes (uint32, little-endian), words as a JSON list, or
none, and 16-bit samples at 16 kHz. For each, stdout gets a line of JSON, at 100 frames per second. Without
words: a list of [word, first frame, last frame, probability], as recognised. With words: [first frame, last
frame] of each, or null where it isn't found.
"""

import json
import os
import struct
import sys
from collections.abc import Sequence
from typing import Any

from pocketsphinx import Config, Decoder

from asr.spelled_phones import phones_of

LENGTHS = struct.Struct("<II")
# Hidden Markov models followed at a time. With pocketsphinx's own 30,000 as many words are wrong (6 to 10 %
# of people's, flite's and the bundled model's), and listening takes a fifth longer, to noise twice as long.
MAX_STATES = 5_000
NICENESS = 5  # speech synthesis goes first
MAX_ADDED = 5_000  # words that the dictionary lacks; then it begins anew
NO_WORDS = ("<", "[")
LISTENING = "_default"


def main() -> None:
    os.nice(NICENESS)
    decoder, added = load_decoder(), 0
    while header := sys.stdin.buffer.read(LENGTHS.size):
        sizes = LENGTHS.unpack(header)
        wanted, utterance = (sys.stdin.buffer.read(size) for size in sizes)
        if wanted:
            if added > MAX_ADDED:
                decoder, added = load_decoder(), 0
            asked = json.loads(wanted)
            added += add_unknown(decoder, asked)
            answer: Any = places(decoder, utterance, asked)
        else:
            answer = recognised(decoder, utterance)
        print(json.dumps(answer), flush=True)


def load_decoder() -> Decoder:
    """Load pocketsphinx's bundled English model."""
    return Decoder(Config(samprate=16_000, loglevel="FATAL", maxhmmpf=MAX_STATES))


def decode(decoder: Decoder, utterance: bytes) -> None:
    # Reset the noise estimate: the result must not depend on earlier recordings.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(utterance, full_utt=True)
    decoder.end_utt()


def recognised(decoder: Decoder, utterance: bytes) -> list[list[Any]]:
    """Return the words of 16-bit samples at 16 kHz as [word, first frame, last frame, probability]."""
    decode(decoder, utterance)
    return [[word.word, word.start_frame, word.end_frame, word.prob] for word in decoder.seg() or ()]


def add_unknown(decoder: Decoder, asked: Sequence[str]) -> int:
    """Add the words that the dictionary lacks, as they are spelled; how many."""
    unknown = {word for word in asked if decoder.lookup_word(word) is None and phones_of(word)}
    for word in unknown:
        decoder.add_word(word, " ".join(phones_of(word)), True)
    return len(unknown)


def places(decoder: Decoder, utterance: bytes, asked: Sequence[str]) -> list[list[int] | None]:
    """First and last frame of each word, all of them said in this order; null where they aren't found."""
    known = [number for number, word in enumerate(asked) if decoder.lookup_word(word) is not None]
    found: list[list[int] | None] = [None] * len(asked)
    try:
        decoder.set_align_text(" ".join(asked[number] for number in known))
        decode(decoder, utterance)
        decoder.set_alignment()  # a second pass, phone by phone
        decode(decoder, utterance)
        spoken = [word for word in decoder.get_alignment() if not word.name.startswith(NO_WORDS)]
    except RuntimeError:  # nothing in the sound is like these words
        spoken = []
    finally:
        decoder.activate_search(LISTENING)
    if len(spoken) == len(known):
        for number, word in zip(known, spoken, strict=True):
            found[number] = [word.start, word.start + word.duration - 1]
    return found


if __name__ == "__main__":
    main()
