"""Static KV caches: blocks of memory, decided when they are made.

Position by position, the keys of all heads stand before the values, so that one copy writes both.
"""

import numpy as np
import torch

from higgs.model.config import HiggsConfig


def _zeros(shape: tuple[int, ...], device: torch.device | str, dtype: torch.dtype) -> torch.Tensor:
    """Zeros, which on a CPU take memory only where they are written to."""
    if torch.device(device).type != "cpu":
        return torch.zeros(shape, device=device, dtype=dtype)
    count = int(np.prod(shape)) * dtype.itemsize
    return torch.from_numpy(np.zeros(count, np.uint8)).view(dtype).view(shape)


class KVCache:
    """Keys and values of all layers for `capacity` positions, [layers, B, capacity, 2, kv_heads, head_dim].

    `length` positions are filled. A forward pass writes its positions behind them layer by layer with
    `update`, and its caller then calls `advance` once.
    """

    def __init__(
        self,
        config: HiggsConfig,
        capacity: int,
        *,
        batch: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.layers, batch, capacity, 2, config.kv_heads, config.head_dim)
        self.data = _zeros(shape, device, dtype)
        self.capacity = capacity
        self.length = 0

    def update(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write keys and values [B, kv_heads, S, head_dim] behind the filled positions; views of all."""
        start, end = self.length, self.length + keys.shape[2]
        all_keys, all_values = self.data[layer, :, :end].permute(2, 0, 3, 1, 4).unbind()
        all_keys[:, :, start:].copy_(keys)
        all_values[:, :, start:].copy_(values)
        return all_keys, all_values

    def advance(self, positions: int) -> None:
        self.length += positions

    def filled(self) -> torch.Tensor:
        """A view of what its only stream has filled, [layers, length, 2, kv_heads, head_dim]."""
        return self.data[:, 0, : self.length]

    def restore(self, filled: torch.Tensor) -> None:
        """Make this the cache of one stream that has filled just this."""
        self.length = filled.shape[1]
        self.filled().copy_(filled)


class SlotCache:
    """Keys and values of streams of different lengths, one in each row: [layers, rows, capacity, 2, …]."""

    def __init__(
        self,
        config: HiggsConfig,
        rows: int,
        capacity: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.layers, rows, capacity, 2, config.kv_heads, config.head_dim)
        self.data = _zeros(shape, device, dtype)
        self.rows, self.capacity, self.device = rows, capacity, self.data.device
        self._flat = self.data.flatten(3).flatten(1, 2).unbind()

    def load(self, row: int, filled: torch.Tensor) -> None:
        """Fill a row with [layers, length, 2, kv_heads, head_dim], as of KVCache.filled."""
        self.data[:, row, : filled.shape[1]].copy_(filled)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first positions of a row to another."""
        self.data[:, target, :length].copy_(self.data[:, source, :length])

    def write(self, layer: int, places: torch.Tensor, keys_values: torch.Tensor) -> None:
        """Write a position of each of n rows, [n, 2 * kv_heads * D]; a place is row * capacity + position."""
        self._flat[layer].index_copy_(0, places, keys_values)

    def views(self, rows: int, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of each layer, [rows, kv_heads, length, head_dim]."""
        part = self.data[:, :rows, :length].permute(0, 3, 1, 4, 2, 5)
        return [(layer[0], layer[1]) for layer in part.unbind()]
