"""The process that runs pocketsphinx: `python -m asr.sphinx_worker`.

pocketsphinx holds the GIL while it decodes, which would stall an engine in the same process.

Protocol: stdin has utterances, each a length in bytes (uint32, little-endian) and 16-bit samples at 16 kHz.
For each, stdout gets a line of JSON: a list of [word, first frame, last frame, probability], at 100 frames
per second.
"""

import json
import os
import struct
import sys
from typing import Any

from pocketsphinx import Config, Decoder

LENGTH = struct.Struct("<I")
NICENESS = 5  # speech synthesis goes first


def main() -> None:
    os.nice(NICENESS)
    decoder = load_decoder()
    while header := sys.stdin.buffer.read(LENGTH.size):
        (length,) = LENGTH.unpack(header)
        print(json.dumps(decode(decoder, sys.stdin.buffer.read(length))), flush=True)


def load_decoder() -> Decoder:
    """Load pocketsphinx's bundled English model."""
    return Decoder(Config(samprate=16_000, loglevel="FATAL"))


def decode(decoder: Decoder, utterance: bytes) -> list[list[Any]]:
    """Return the words of 16-bit samples at 16 kHz as [word, first frame, last frame, probability]."""
    # Reset the noise estimate: the result must not depend on earlier recordings.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(utterance, full_utt=True)
    decoder.end_utt()
    return [[word.word, word.start_frame, word.end_frame, word.prob] for word in decoder.seg() or ()]


if __name__ == "__main__":
    main()
