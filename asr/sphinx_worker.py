"""The process in which pocketsphinx listens: `python -m asr.sphinx_worker`.

pocketsphinx holds Python's lock for as long as it decodes, which would stop the engine in a process they
share. On stdin come utterances, each its length in bytes (uint32) and 16-bit samples at 16 kHz; for each one
line of JSON goes to stdout: a list of [word, first frame, last frame, probability], 100 frames a second.
"""

import json
import os
import struct
import sys
from typing import Any

from pocketsphinx import Config, Decoder

LENGTH = struct.Struct("<I")
LATER_THAN_SPEECH = 5  # niceness: those who speak to someone go first


def main() -> None:
    os.nice(LATER_THAN_SPEECH)
    decoder = Decoder(Config(samprate=16_000, loglevel="FATAL"))
    while header := sys.stdin.buffer.read(LENGTH.size):
        (length,) = LENGTH.unpack(header)
        print(json.dumps(words(decoder, sys.stdin.buffer.read(length))), flush=True)


def words(decoder: Decoder, utterance: bytes) -> list[list[Any]]:
    # What was learnt of the noise of one recording would change what is heard in the next.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(utterance, full_utt=True)
    decoder.end_utt()
    return [[word.word, word.start_frame, word.end_frame, word.prob] for word in decoder.seg() or ()]


if __name__ == "__main__":
    main()
