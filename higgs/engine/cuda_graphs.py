"""A step as one CUDA graph: hundreds of kernels for one launch."""

from collections.abc import Callable, Iterable

import torch

Key = tuple[int, ...]


class Graphs:
    """A function of some integers whose work is the same every time, captured for each of their values.

    The function reads and writes tensors that stay where they are, and never waits for the device. Its result
    is overwritten by the next call with the same values. Values that were not captured are computed eagerly.
    """

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        self._function = function
        self._captured: dict[Key, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}

    def capture(self, keys: Iterable[Key]) -> None:
        """Capture for each key, the largest first, so that the others find their memory in its pool."""
        pool = None
        for key in sorted(keys, reverse=True):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self._function(*key)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                result = self._function(*key)
            pool = pool or graph.pool()
            self._captured[key] = graph, result

    def __call__(self, *key: int) -> torch.Tensor:
        if key not in self._captured:
            return self._function(*key)
        graph, result = self._captured[key]
        graph.replay()
        return result
