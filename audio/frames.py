"""Format of all speech in this project: mono at 24 kHz, and 25 codec frames of 8 codes per second."""

SAMPLE_RATE = 24_000  # Hz
FRAME_RATE = 25  # codec frames per second
HOP = SAMPLE_RATE // FRAME_RATE  # samples per frame
CODEBOOKS = 8
CODEBOOK_SIZE = 1024
