"""Keys and values of streams as the compiled path reads them, from the first number to the last."""

import numpy as np
import torch

from higgs.config import HiggsConfig
from higgs.cpu.kernels import PANEL


class PanelCache:
    """As SlotCache, but packed as the matrices of the kernels are.

    keys:   [layers, rows, kv_heads, panels, D, PANEL], in panels of positions.
    values: [layers, rows, kv_heads, panels, positions, PANEL], in panels of D.
    half:   they are rounded to float16, which int16 holds, for half the bytes.
    """

    def __init__(self, config: HiggsConfig, rows: int, capacity: int, half: bool) -> None:
        self.half = half
        dtype = np.int16 if half else np.float32
        self.rows, self.capacity, self.device = rows, capacity, torch.device("cpu")
        heads = (config.layers, rows, config.kv_heads)
        positions, numbers = (-(-count // PANEL) * PANEL for count in (capacity, config.head_dim))
        # Memory is taken only where it is written to.
        self.keys = np.zeros((*heads, positions // PANEL, config.head_dim, PANEL), dtype)
        self.values = np.zeros((*heads, numbers // PANEL, positions, PANEL), dtype)

    def load(self, row: int, filled: torch.Tensor) -> None:
        """Fill a row with [layers, length, 2, kv_heads, head_dim], as of KVCache.filled."""
        kept = filled.half().view(torch.int16) if self.half else filled
        keys, values = kept.permute(2, 0, 3, 1, 4).numpy()
        for start in range(0, keys.shape[2], PANEL):
            part = keys[:, :, start : start + PANEL].swapaxes(2, 3)
            self.keys[:, row, :, start // PANEL, :, : part.shape[3]] = part
        for start in range(0, values.shape[3], PANEL):
            part = values[..., start : start + PANEL]
            self.values[:, row, :, start // PANEL, : part.shape[2], : part.shape[3]] = part

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first positions of a row to another."""
        panels = -(-length // PANEL)
        self.keys[:, target, :, :panels] = self.keys[:, source, :, :panels]
        self.values[:, target, ..., :length, :] = self.values[:, source, ..., :length, :]
