"""From logits to columns: what each stream of a batch samples, and what stands of it by the delay pattern.

A stream's whole state is one row of tensors on the model's device; nothing here waits for the device.
"""

import torch

from higgs.engine.sampler import MAX_WINDOW, Sampler, SamplingOptions
from higgs.model.config import HiggsConfig
from higgs.model.delay import DelayRule


class ColumnWriter:
    """Samples the next columns of up to `rows` streams of up to `capacity` positions, and remembers them.

    Attributes:
        recent: [rows, MAX_WINDOW, K], the preceding columns, the latest last; -1 where there are none.
        position: [rows], where the latest column stands in the KV cache.
        column: [rows], the index of the next column in its stream.
    """

    SAMPLER = Sampler

    def __init__(
        self, config: HiggsConfig, rows: int, capacity: int, device: torch.device | str = "cpu"
    ) -> None:
        self.config, self._last = config, capacity - 1
        self.sampler = self.SAMPLER(config, capacity, rows, device)
        self.rule = DelayRule(config, rows, device)
        self.position = torch.zeros(rows, dtype=torch.int64, device=device)
        self.column = torch.zeros(rows, dtype=torch.int64, device=device)
        self.speaking = torch.zeros(rows, dtype=torch.int64, device=device)
        self.recent = torch.zeros(rows, MAX_WINDOW, config.num_codebooks, dtype=torch.int64, device=device)

    @property
    def changing(self) -> tuple[torch.Tensor, ...]:
        """The tensors that `write` changes."""
        return self.rule.end, self.position, self.column, self.recent

    def start(
        self, row: int, position: int, options: SamplingOptions, seed: int, max_steps: int, min_frames: int
    ) -> None:
        """Start a stream whose opening column stands at `position`; see ModelRunner.start."""
        self.sampler.start(row, options, seed, max_steps)
        # fill_, since assigning to one element uploads the number, for which CUDA is waited for.
        self.rule.end[row].fill_(self.rule.OPEN)
        self.rule.min_frames[row].fill_(min_frames)
        self.position[row].fill_(position)
        self.column[row].fill_(1)
        self.speaking[row].fill_(1)
        self.recent[row] = -1
        self.recent[row, -1] = self.config.opening_code

    def move(self, source: int, target: int) -> None:
        """Move a stream to another row."""
        self.sampler.move(source, target)
        for tensor in (*self.changing, self.rule.min_frames):
            tensor[target] = tensor[source]

    def stop(self, row: int) -> None:
        """Let a row whose stream has ended stand at position 0, where it is cheap to compute."""
        self.position[row].zero_()
        self.speaking[row].zero_()

    def write(self, logits: torch.Tensor) -> torch.Tensor:
        """Sample a column of each of the first n streams from logits [n, K, V], float32, and append it.

        Returns [n, K + 1]; see StepOutput.wait. The logits may be changed.
        """
        n, codebooks = len(logits), self.config.num_codebooks
        position, column, recent = self.position[:n], self.column[:n], self.recent[:n]
        codes = self.sampler.draw(self.rule.bar(logits, column), column, recent)
        codes = self.rule.force(codes, column[:, None])
        recent.copy_(torch.cat((recent[:, 1:], codes[:, None]), dim=1))
        position.add_(self.speaking[:n]).clamp_(max=self._last)
        column.add_(1).clamp_(max=self._last)
        frames = recent[:, -codebooks:].diagonal(dim1=1, dim2=2).clamp(max=self.config.bos_code - 1)
        return torch.cat((frames, self.rule.end[:n, None]), dim=1)
