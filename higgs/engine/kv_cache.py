"""Static KV caches, allocated once.

For each position, the keys of all heads precede the values, so that one copy writes both.
"""

import numpy as np
import torch

from higgs.model.config import HiggsConfig


def _zeros(shape: tuple[int, ...], device: torch.device | str, dtype: torch.dtype) -> torch.Tensor:
    """Return zeros; on a CPU, memory is allocated lazily."""
    if torch.device(device).type != "cpu":
        return torch.zeros(shape, device=device, dtype=dtype)
    count = int(np.prod(shape)) * dtype.itemsize
    return torch.from_numpy(np.zeros(count, np.uint8)).view(dtype).view(shape)


class KVCache:
    """Keys and values of all layers for `capacity` positions, [layers, B, capacity, 2, kv_heads, head_dim].

    `length` positions are filled. A forward pass appends its positions layer by layer with `update`; then its
    caller calls `advance` once.
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
        """Append keys and values [B, kv_heads, S, head_dim]; return views of all positions."""
        start, end = self.length, self.length + keys.shape[2]
        all_keys, all_values = self.data[layer, :, :end].permute(2, 0, 3, 1, 4).unbind()
        all_keys[:, :, start:].copy_(keys)
        all_values[:, :, start:].copy_(values)
        return all_keys, all_values

    def advance(self, positions: int) -> None:
        self.length += positions

    def filled(self) -> torch.Tensor:
        """Return a view of the only stream's filled positions, [layers, length, 2, kv_heads, head_dim]."""
        return self.data[:, 0, : self.length]

    def restore(self, filled: torch.Tensor) -> None:
        """Replace the contents by a copy of `filled`."""
        self.length = filled.shape[1]
        self.filled().copy_(filled)


class SlotCache:
    """Keys and values of streams of different lengths, one per row: [layers, rows, capacity, 2, …]."""

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
        """Fill a row with [layers, length, 2, kv_heads, head_dim]; see KVCache.filled."""
        self.data[:, row, : filled.shape[1]].copy_(filled)

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of a row to another."""
        self.data[:, target, :length].copy_(self.data[:, source, :length])

    def write(self, layer: int, places: torch.Tensor, keys_values: torch.Tensor) -> None:
        """Write one position of n rows, [n, 2 * kv_heads * D]; a place is row * capacity + position."""
        self._flat[layer].index_copy_(0, places, keys_values)

    def views(self, rows: int, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return keys and values of each layer, [rows, kv_heads, length, head_dim]."""
        part = self.data[:, :rows, :length].permute(0, 3, 1, 4, 2, 5)
        return [(layer[0], layer[1]) for layer in part.unbind()]
