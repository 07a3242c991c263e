"""The KV cache of the compiled CPU path, in the memory layout that its kernels read sequentially."""

from typing import NamedTuple

import numpy as np
import torch

from higgs.cpu.intrinsics import PANEL
from higgs.model.config import HiggsConfig


class FilledPanels(NamedTuple):
    """The filled part of one row of PanelCache; keys in whole panels."""

    keys: np.ndarray
    values: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Layers and positions."""
        return len(self.values), self.values.shape[3]

    def clone(self) -> "FilledPanels":
        return FilledPanels(self.keys.copy(), self.values.copy())


class PanelCache:
    """A SlotCache in the packed layout of the kernels' matrices.

    Attributes:
        keys: [layers, rows, kv_heads, panels, D, PANEL], in panels of positions.
        values: [layers, rows, kv_heads, panels, positions, PANEL], in panels of D.
        half: stored as float16 bits in int16.
    """

    def __init__(self, config: HiggsConfig, rows: int, capacity: int, half: bool) -> None:
        self.half = half
        dtype = np.int16 if half else np.float32
        self.rows, self.capacity, self.device = rows, capacity, torch.device("cpu")
        heads = (config.layers, rows, config.kv_heads)
        positions, numbers = (-(-count // PANEL) * PANEL for count in (capacity, config.head_dim))
        # np.zeros allocates lazily: unused positions take no memory.
        self.keys = np.zeros((*heads, positions // PANEL, config.head_dim, PANEL), dtype)
        self.values = np.zeros((*heads, numbers // PANEL, positions, PANEL), dtype)

    def filled(self, row: int, length: int) -> FilledPanels:
        """Return a view of the first `length` positions of a row."""
        panels = -(-length // PANEL)
        return FilledPanels(self.keys[:, row, :, :panels], self.values[:, row, :, :, :length])

    def load(self, row: int, filled: torch.Tensor | FilledPanels) -> None:
        """Fill the first positions of a row from a view or a tensor [layers, length, 2, kv_heads, D]."""
        if isinstance(filled, FilledPanels):
            part = self.filled(row, filled.shape[1])
            part.keys[:], part.values[:] = filled
            return
        kept = filled.half().view(torch.int16) if self.half else filled
        keys, values = kept.permute(2, 0, 3, 1, 4).numpy()
        for start in range(0, keys.shape[2], PANEL):
            part = keys[:, :, start : start + PANEL].swapaxes(2, 3)
            self.keys[:, row, :, start // PANEL, :, : part.shape[3]] = part
        for start in range(0, values.shape[3], PANEL):
            part = values[..., start : start + PANEL]
            self.values[:, row, :, start // PANEL, : part.shape[2], : part.shape[3]] = part

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of a row to another."""
        self.load(target, self.filled(source, length))


class PanelRow:
    """One stream's keys and values, with KVCache's interface."""

    def __init__(self, config: HiggsConfig, capacity: int, half: bool) -> None:
        self.cache, self.capacity, self.length = PanelCache(config, 1, capacity, half), capacity, 0

    def filled(self) -> FilledPanels:
        return self.cache.filled(0, self.length)

    def restore(self, filled: FilledPanels) -> None:
        self.cache.load(0, filled)
        self.length = filled.shape[1]
