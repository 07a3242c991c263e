"""CUDA graphs: hundreds of kernels in one launch."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal

import torch

log = logging.getLogger(__name__)

Key = tuple[int, ...]
Part = Literal["model", "codec"]
MIN_EQUAL = 0.9  # of codes: if two are equally likely, another order of summation may select the other
MAX_APART = 0.01  # of equal numbers, by their root mean square: TF32 rounds, and not always the same way


class Graphs:
    """A function of some integers, captured as one CUDA graph for each combination of their values.

    The function reads and writes tensors at fixed addresses, does the same work each time, and never waits
    for the device. Values that were not captured are computed eagerly.

    torch has one cuBLAS workspace for each stream, and the graphs that were captured there go on using it. So
    those that run at the same time, as the codec's and the engine's do, are captured on streams of their own.
    It is freed with the first of its graphs (https://github.com/pytorch/pytorch/issues/193402), so all that
    were made are kept.

    Args:
        function: integers → a tensor.
        state: tensors that a call reads and changes; restored after the calls of a capture.
        name: what a call computes, for the log.
        part: of what.

    Attributes:
        parts: those of which anything is captured, in the whole process.
    """

    parts: ClassVar[tuple[Part, ...]] = ("model", "codec")

    def __init__(
        self,
        function: Callable[..., torch.Tensor],
        state: Sequence[torch.Tensor] = (),
        name: str = "a step",
        part: Part = "model",
    ) -> None:
        self._function, self._state, self._name, self._part = function, state, name, part
        self._captured: dict[Key, tuple[torch.cuda.CUDAGraph, torch.Tensor]] = {}
        self._made: list[torch.cuda.CUDAGraph] = []

    @property
    def wanted(self) -> bool:
        """Whether anything is captured."""
        return self._part in self.parts

    def capture(self, keys: Iterable[Key], device: torch.device) -> None:
        """Capture a graph for each key, the largest first, so that smaller ones reuse its memory pool.

        If one can't be captured, for lack of memory for example, it and the smaller ones stay eager. One
        whose result differs from the function's is dropped.
        """
        if not self.wanted:
            return
        current = torch.cuda.current_stream(device)
        aside = torch.cuda.Stream(device, priority=current.priority)  # kernels keep that of their capture
        aside.wait_stream(current)
        pool = torch.cuda.graph_pool_handle()
        with torch.cuda.stream(aside):
            for key in sorted(keys, reverse=True):
                try:
                    self._capture(key, pool, aside)
                except RuntimeError as error:
                    log.warning(
                        "no CUDA graph of %s of %s; it and smaller ones are slow: %s", self._name, key, error
                    )
                    break
        current.wait_stream(aside)

    def _capture(self, key: Key, pool: Any, aside: torch.cuda.Stream) -> None:
        before = [part.clone() for part in self._state]
        expected = self._function(*key)  # also warms up: first-call work must not be captured
        self._restore(before)
        graph = torch.cuda.CUDAGraph()
        self._made.append(graph)
        # thread_local: allocations of other threads, such as the recogniser's, don't break the capture.
        with torch.cuda.graph(graph, pool=pool, stream=aside, capture_error_mode="thread_local"):
            result = self._function(*key)
        graph.replay()
        self._restore(before)
        if (equal := share_equal(result, expected)) >= MIN_EQUAL:
            self._captured[key] = graph, result
        else:
            log.warning(
                "the CUDA graph of %s of %s is right in %.2f only; it is dropped", self._name, key, equal
            )

    def _restore(self, before: list[torch.Tensor]) -> None:
        for part, saved in zip(self._state, before, strict=True):
            part.copy_(saved)

    def __call__(self, *key: int) -> torch.Tensor:
        """Return the function's result for these values; the next call with the same values overwrites it."""
        if key not in self._captured:
            return self._function(*key)
        graph, result = self._captured[key]
        graph.replay()
        return result


def share_equal(result: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the share of equal elements, in floating point of nearly equal ones; waits for the device."""
    equal = result == expected
    if result.is_floating_point():
        mean = expected.float().square().mean().sqrt()
        equal |= (result.float() - expected.float()).abs() <= MAX_APART * mean
    return equal.float().mean().item()
