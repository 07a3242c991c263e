"""The KV cache of the compiled CPU path, in the memory layout that its kernels read sequentially."""

from typing import NamedTuple

import numpy as np
import torch

from higgs.cpu.intrinsics import PANEL
from higgs.model.config import HiggsConfig


class FilledPanels(NamedTuple):
    """The filled part of one row of PanelCache, in whole panels, of which `length` positions count."""

    keys: np.ndarray
    values: np.ndarray
    length: int

    @property
    def shape(self) -> tuple[int, int]:
        """Layers and positions."""
        return self.keys.shape[1], self.length

    def clone(self) -> "FilledPanels":
        return FilledPanels(self.keys.copy(), self.values.copy(), self.length)


class PanelCache:
    """A SlotCache in the packed layout of the kernels' matrices.

    The layers of a panel of positions stand together, so that what a stream has filled is one block of
    memory: the rest of a row takes none, and a step reads few pages.

    Attributes:
        keys: [rows, panels, layers, kv_heads, D, PANEL], in panels of positions.
        values: [rows, panels, layers, kv_heads, D / PANEL, PANEL, PANEL]: panels of positions, then of D.
        half: stored as float16 bits in int16.
    """

    def __init__(self, config: HiggsConfig, rows: int, capacity: int, half: bool) -> None:
        self.half = half
        dtype = np.int16 if half else np.float32
        self.rows, self.capacity, self.device = rows, capacity, torch.device("cpu")
        panels, parts = (-(-count // PANEL) for count in (capacity, config.head_dim))
        heads = (rows, panels, config.layers, config.kv_heads)
        # np.zeros allocates lazily: unused positions take no memory.
        self.keys = np.zeros((*heads, config.head_dim, PANEL), dtype)
        self.values = np.zeros((*heads, parts, PANEL, PANEL), dtype)

    def filled(self, row: int, length: int) -> FilledPanels:
        """Return a view of the first `length` positions of a row."""
        panels = -(-length // PANEL)
        return FilledPanels(self.keys[row, :panels], self.values[row, :panels], length)

    def load(self, row: int, filled: torch.Tensor | FilledPanels) -> None:
        """Fill the first positions of a row from a view or a tensor [layers, length, 2, kv_heads, D]."""
        if isinstance(filled, FilledPanels):
            part = self.filled(row, filled.length)
            part.keys[:], part.values[:] = filled.keys, filled.values
            return
        kept = filled.half().view(torch.int16) if self.half else filled
        keys, values = kept.permute(2, 0, 3, 1, 4).numpy()  # each [layers, kv_heads, length, D]
        for panel, start in enumerate(range(0, keys.shape[2], PANEL)):
            part_of_keys = keys[:, :, start : start + PANEL].swapaxes(2, 3)
            self.keys[row, panel, ..., : part_of_keys.shape[3]] = part_of_keys
            for number, column in enumerate(range(0, values.shape[3], PANEL)):
                block = values[:, :, start : start + PANEL, column : column + PANEL]
                self.values[row, panel, :, :, number, : block.shape[2], : block.shape[3]] = block

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
