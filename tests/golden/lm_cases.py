"""What the golden values of the language model are made of, for their maker and for the tests."""

import numpy as np
import torch

TEXT = "Hello there. How are you?"
FIRST_TRANSCRIPT = "It was the night before my birthday."
SECOND_TRANSCRIPT = "Most of the time, the sun shines."
SCENE = "Audio is recorded from a quiet room."
DIALOGUE = "[SPEAKER0] Good morning.\n[SPEAKER1] Good evening."

GREEDY_COLUMNS = 68  # 60 whole frames and the opening one
LOGIT_POSITIONS = (0, 7, 20, -1)
SCRIPT_COLUMNS = 40


def reference_codes(seed: int, frames: int) -> torch.Tensor:
    """Codes (8, frames) of a made-up reference."""
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).integers(0, 1024, (8, frames)))


FIRST_CODES = reference_codes(1, 12)
SECOND_CODES = reference_codes(2, 17)


def scripts() -> torch.Tensor:
    """Codes a model might have sampled, [cases, SCRIPT_COLUMNS, 8]; row c is sampled for column c + 1.

    The first eight cases end in codebook 0, 1, … 7 first. The others hold eos_code in several places at once,
    early, late and after the end; the last holds none.
    """
    random = np.random.Generator(np.random.PCG64(3))
    codes = random.integers(0, 1025, (40, SCRIPT_COLUMNS, 8))
    for book in range(8):
        codes[book, 20, book] = 1025
    for case in range(8, 39):
        marks = random.integers(1, 7)
        codes[case, random.integers(0, 30, marks), random.integers(0, 8, marks)] = 1025
    return torch.from_numpy(codes)
