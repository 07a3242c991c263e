"""The sizes in which a GPU decodes: few lengths of windows, and numbers of windows decoded at once.

The lengths are those that higgs.playback asks for: 12 frames bring a stream's first sound, and 12 more come
at once, before that has been heard. Each later chunk, of 24, 48, 96 and then 128 frames, comes with the 20
frames before it whose samples are not yet final or that these depend on; the last 20 come alone. Other
windows are filled up to the next length, and batches to the next power of two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from audio.frames import HOP

LENGTHS = (12, 24, 44, 68, 148)  # frames
MAX_BATCH = 320  # frames decoded at once: bounds memory, and for how long others wait
MAX_CHUNK = 128  # frames that are decoded in one window at most, beside what comes before them


@dataclass(frozen=True, eq=False)
class Window:
    """Codes (8, t) of a stream, on the CPU.

    Attributes:
        first: the stream begins with them.
        last: it ends with them.
    """

    codes: torch.Tensor
    first: bool
    last: bool

    @property
    def frames(self) -> int:
        return self.codes.shape[1]

    @property
    def length(self) -> int:
        """Of the bucket. Where both ends are the stream's own, which sound as nothing else, its own."""
        fitting = [length for length in LENGTHS if length >= self.frames]
        return self.frames if (self.first and self.last) or not fitting else fitting[0]

    @property
    def offset(self) -> int:
        """Where it begins within the bucket: what fills this up must not stand behind the stream's end."""
        return self.length - self.frames if self.last else 0


def max_windows(length: int) -> int:
    """Return how many windows of a length are decoded at once; a power of two."""
    return 1 << (max(1, MAX_BATCH // length).bit_length() - 1)


def windows_around(count: int) -> int:
    """Return the size of the batch in which so many windows are decoded."""
    return 1 << (count - 1).bit_length()


def all_buckets() -> list[tuple[int, int]]:
    """Return each length with each size of a batch."""
    return [(length, 1 << power) for length in LENGTHS for power in range(max_windows(length).bit_length())]


def fill(batch: torch.Tensor, windows: Sequence[Window]) -> None:
    """Write windows of one length into a batch of zeros [8, rows, length], as many rows or more."""
    for row, window in enumerate(windows):
        batch[:, row, window.offset : window.offset + window.frames] = window.codes


def cut(samples: torch.Tensor, windows: Sequence[Window]) -> list[torch.Tensor]:
    """Copy each window's samples (960·t,) from those of a batch [rows, 960·length]."""
    return [
        samples[row, HOP * window.offset : HOP * (window.offset + window.frames)].clone()
        for row, window in enumerate(windows)
    ]
