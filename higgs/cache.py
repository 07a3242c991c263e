"""A static KV cache: one block of memory, decided when it is made."""

import torch

from higgs.config import HiggsConfig


class KVCache:
    """Keys and values of all layers for `capacity` positions, [layers, B, kv_heads, capacity, head_dim].

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
        shape = (config.layers, batch, config.kv_heads, capacity, config.head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype).unbind()
        self.values = torch.zeros(shape, device=device, dtype=dtype).unbind()
        self.capacity = capacity
        self.length = 0

    def update(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write keys and values [B, kv_heads, S, head_dim] behind the filled positions; views of all."""
        start, count = self.length, keys.shape[2]
        all_keys, all_values = self.keys[layer], self.values[layer]
        all_keys.narrow(2, start, count).copy_(keys)
        all_values.narrow(2, start, count).copy_(values)
        return all_keys.narrow(2, 0, start + count), all_values.narrow(2, 0, start + count)

    def advance(self, positions: int) -> None:
        self.length += positions

    def clear(self) -> None:
        self.length = 0
