"""What codes may tell of the text that they speak."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadSound:
    """A sound of a text: frames start to end of its codes, and the character that it is read from."""

    start: float
    end: float
    letter: int
