"""The delay pattern of the codebooks, and the rule by which a stream of columns begins and ends.

A frame holds one code of each of the K codebooks. The model does not write frames but columns, in which
codebook k lags k steps behind codebook 0 (J. Copet et al., "Simple and Controllable Music Generation",
https://arxiv.org/abs/2306.05284): the code of codebook k in column c belongs to frame c - k.
"""

import torch

from higgs.model.config import HiggsConfig


def apply_delay(codes: torch.Tensor, config: HiggsConfig) -> torch.Tensor:
    """Frames (K, T) to the columns of a whole stream: [T + K + 1, K] in v2, [T + K - 1, K] in v3.

    In v2 one frame of bos_code and one of eos_code stand around the frames; the corners that the delay
    leaves empty are filled with the same.
    """
    books, frames = codes.shape
    marks = config.mark_frames
    columns = codes.new_full((frames + 2 * marks + books - 1, books), config.eos_code)
    for book in range(books):
        columns[: book + marks, book] = config.bos_code
        columns[book + marks : book + marks + frames, book] = codes[book]
    return columns


def undo_delay(columns: torch.Tensor) -> torch.Tensor:
    """Columns [N, K] to the frames (K, N - K + 1) that stand complete in them, the marks as they are."""
    count, books = columns.shape
    if count < books:
        return columns.new_empty(books, 0)
    return columns.unfold(0, books, 1).diagonal(dim1=-2, dim2=-1).T


class DelayRule:
    """What the delay forces upon the sampled codes of B streams, column by column (boson's rule).

    Codes of frame 0 and before are bos_code. The first eos_code that is sampled, in the lowest codebook if
    in several, ends its stream at that codebook's frame: from here on codes of later frames are eos_code, and
    the column that completes the frame is the last. Frames 1 to `end` - 1 are the audio.

    In v3 no mark is drawn within the audio: bos_code never, eos_code by codebook 0 alone, as in vLLM-Omni.
    The frame at which a stream ends is eos_code in all codebooks, and the column that completes the frame
    before it is the last: the sixth after codebook 0's eos_code.

    `end` [B] holds OPEN while no eos_code was sampled.
    """

    OPEN = 2**62

    def __init__(self, config: HiggsConfig, batch: int = 1, device: torch.device | str = "cpu") -> None:
        self.bos_code, self.eos_code = config.bos_code, config.eos_code
        self.books = torch.arange(config.num_codebooks, device=device)
        self.end = torch.full((batch,), self.OPEN, device=device)
        self.marks = config.mark_frames
        codes = torch.arange(config.codebook_size, device=device)
        self.barred = (codes == self.bos_code) | ((codes == self.eos_code) & (self.books[:, None] > 0))

    def bar(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits [n, K, V] without what can't be drawn."""
        return logits if self.marks else logits.masked_fill(self.barred, -torch.inf)

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
