"""The process that runs pocketsphinx: `python -m asr.sphinx_worker`.

pocketsphinx holds the GIL while it decodes, which would stall an engine in the same process. On stdin come
utterances, each its length in bytes (uint32) and 16-bit samples at 16 kHz; for each one
line of JSON goes to stdout: a list of [word, first frame, last frame, probability], 100 frames a second.
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
    decoder = Decoder(Config(samprate=16_000, loglevel="FATAL"))
    while header := sys.stdin.buffer.read(LENGTH.size):
        (length,) = LENGTH.unpack(header)
        print(json.dumps(words(decoder, sys.stdin.buffer.read(length))), flush=True)


def words(decoder: Decoder, utterance: bytes) -> list[list[Any]]:
    # Forget the noise estimate, or one recording would change the result of the next.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(utterance, full_utt=True)
    decoder.end_utt()
    return [[word.word, word.start_frame, word.end_frame, word.prob] for word in decoder.seg() or ()]


if __name__ == "__main__":
    main()
