"""The shape of all speech in this project: 24 kHz mono samples, and 25 codec frames of 8 codes a second."""

SAMPLE_RATE = 24_000  # Hz
FRAME_RATE = 25  # codec frames per second
HOP = SAMPLE_RATE // FRAME_RATE  # samples per frame
CODEBOOKS = 8
CODEBOOK_SIZE = 1024
