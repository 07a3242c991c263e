"""The delay pattern of the codebooks, and how a stream of columns begins and ends.

A frame is one code of each of K codebooks. The model generates columns instead, in which codebook k is
delayed by k steps (J. Copet et al., "Simple and Controllable Music Generation",
https://arxiv.org/abs/2306.05284): the code of codebook k in column c belongs to frame c - k.
"""

import torch

from higgs.model.config import HiggsConfig


def apply_delay(codes: torch.Tensor, config: HiggsConfig) -> torch.Tensor:
    """Convert frames (K, T) to the columns of a whole stream: [T + K + 1, K] in v2, [T + K - 1, K] in v3.

    In v2, the frames are enclosed by one frame of bos_code and one of eos_code. The corners that the delay
    leaves empty are filled with the same codes.
    """
    books, frames = codes.shape
    marks = config.mark_frames
    columns = codes.new_full((frames + 2 * marks + books - 1, books), config.eos_code)
    for book in range(books):
        columns[: book + marks, book] = config.bos_code
        columns[book + marks : book + marks + frames, book] = codes[book]
    return columns


def undo_delay(columns: torch.Tensor) -> torch.Tensor:
    """Convert columns [N, K] to their complete frames (K, N - K + 1), including bos_code and eos_code."""
    count, books = columns.shape
    if count < books:
        return columns.new_empty(books, 0)
    return columns.unfold(0, books, 1).diagonal(dim1=-2, dim2=-1).T


class DelayRule:
    """Forces sampled codes of B streams to follow the delay pattern, column by column (boson's rule).

    Codes of frame 0 and before are bos_code. The first sampled eos_code (in the lowest codebook, if in
    several) ends its stream at that codebook's frame: codes of later frames become eos_code, and the column
    that completes the frame is the last. Frames 1 to `end` - 1 are the audio.

    In v3, as in vLLM-Omni, bos_code is never sampled, and eos_code only by codebook 0. The frame at which a
    stream ends is eos_code in all codebooks, and the column that completes the frame before it is the last:
    the sixth after codebook 0's eos_code.

    Attributes:
        end: [B], OPEN until an eos_code is sampled.
        min_frames: [B], frames of audio before which no eos_code is sampled.
    """

    OPEN = 2**62

    def __init__(self, config: HiggsConfig, batch: int = 1, device: torch.device | str = "cpu") -> None:
        self.bos_code, self.eos_code = config.bos_code, config.eos_code
        self.books = torch.arange(config.num_codebooks, device=device)
        self.end = torch.full((batch,), self.OPEN, device=device)
        self.min_frames = torch.zeros(batch, dtype=torch.int64, device=device)
        self.marks = config.mark_frames
        codes = torch.arange(config.codebook_size, device=device)
        self.barred = (codes == self.bos_code) | ((codes == self.eos_code) & (self.books[:, None] > 0))

    def bar(self, logits: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """Logits [n, K, V] of columns [n] without what can't be drawn. The logits given may be changed."""
        if self.eos_code < logits.shape[-1]:  # else no stream ends, as in benchmarks
            early = column[:, None] - self.books <= self.min_frames[: len(logits), None]
            logits[..., self.eos_code].masked_fill_(early, -torch.inf)
        return logits if self.marks else logits.masked_fill_(self.barred, -torch.inf)

    def force(self, codes: torch.Tensor, column: torch.Tensor | int) -> torch.Tensor:
        """The codes [n, K] sampled for a column of the first n streams to those that stand.

        column: its index, or one per stream [n, 1].
        """
        end = self.end[: len(codes)]
        frames = column - self.books
        codes = torch.where(frames <= 0, self.bos_code, codes)
        ended = torch.where(codes == self.eos_code, frames, -1).amax(-1)
        end.copy_(torch.where((end == self.OPEN) & (ended >= 0), ended, end))
        return torch.where(frames >= end[:, None] + self.marks, self.eos_code, codes)
