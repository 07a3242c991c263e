"""Which letter of a text each phone of its speech comes from, well enough to guide an attention head."""

import numpy as np

from higgs.codecs.vocoder.letters import cheapest_path, letter_cost


def letter_of_each_phone(phones: list[str], text: str) -> np.ndarray:
    """Index (len(phones),) of the middle letter of each phone, on the cheapest monotonic path through
    both."""
    letters = text.lower()
    cost = np.array([[letter_cost(phone, letter) for letter in letters] for phone in phones])
    return np.array([np.mean(visited) if visited else 0.0 for visited in cheapest_path(cost)])
