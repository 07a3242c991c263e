"""Drawing codes on a CPU: Sampler's rules, compiled as one function that looks no further than it must."""

# What Numba compiles has the types that it is called with; an intrinsic is called without its context.
# mypy: disable-error-code="no-untyped-def, call-arg"

import numpy as np
import torch

from higgs.cpu.compiled import compiled
from higgs.sampling import Sampler


@compiled
def sink(values, codes, place, size):
    """Let the entry at `place` sink to where the first `size` entries are a heap with the least on top."""
    value, code = values[place], codes[place]
    below = 2 * place + 1
    while below < size:
        if below + 1 < size and values[below + 1] < values[below]:
            below += 1
        if values[below] >= value:
            break
        values[place], codes[place] = values[below], codes[below]
        place, below = below, 2 * below + 1
    values[place], codes[place] = value, code


@compiled
def likeliest(logits, count, values, codes):
    """The `count` largest of logits [V], the largest first, to the beginning of values and codes [V]."""
    for code in range(count):
        values[code], codes[code] = logits[code], code
    for place in range(count // 2 - 1, -1, -1):
        sink(values, codes, place, count)
    for code in range(count, len(logits)):
        if logits[code] > values[0]:
            values[0], codes[0] = logits[code], code
            sink(values, codes, 0, count)
    for last in range(count - 1, 0, -1):
        values[0], values[last] = values[last], values[0]
        codes[0], codes[last] = codes[last], codes[0]
        sink(values, codes, 0, last)


@compiled
def fallen_on(weights, count, uniform):
    """The index at which uniform in [0, 1) falls among the first `count` weights, of positive sum."""
    total, last = np.float32(0.0), 0
    for index in range(count):
        total += weights[index]
        if weights[index] > 0:
            last = index
    target, cumulative = uniform * total, np.float32(0.0)
    for index in range(last):
        cumulative += weights[index]
        if cumulative > target:
            return index
    return last


@compiled
def softmax(values, count, divisor):
    """The first `count` values, over the divisor, to probabilities, in place."""
    largest = values[0]
    for index in range(count):
        largest = max(largest, values[index])
    total = np.float32(0.0)
    for index in range(count):
        values[index] = np.exp((values[index] - largest) / divisor)
        total += values[index]
    for index in range(count):
        values[index] /= total


@compiled
def drawn(logits, columns, recent, temperature, top_k, top_p, repeats, window, uniform, bos_code):
    """Codes [n, K]; all as of Sampler."""
    n, books, size = logits.shape
    result = np.empty((n, books), np.int64)
    values, codes = np.empty(size, np.float32), np.empty(size, np.int64)
    for stream in range(n):
        first, second = uniform[stream, columns[stream], 0], uniform[stream, columns[stream], 1]
        for book in range(books):
            count = top_k[stream, 0, 0]
            likeliest(logits[stream, book], count, values, codes)
            softmax(values, count, temperature[stream, 0, 0])
            kept, before = 0, np.float32(0.0)
            while kept < count and before < top_p[stream, 0, 0]:
                before += values[kept]
                kept += 1
            code = codes[fallen_on(values, kept, first[book, 0])]
            seen = 0
            for back in range(window.shape[1]):
                seen += window[stream, back, 0] and recent[stream, back, book] == code
            if seen >= repeats[stream, 0] and code < bos_code:
                values[:] = logits[stream, book]
                softmax(values, size, np.float32(1.0))
                code = fallen_on(values, size, second[book, 0])
            result[stream, book] = code
    return result


class CompiledSampler(Sampler):
    """A Sampler on a CPU."""

    def draw(
        self, logits: torch.Tensor, columns: torch.Tensor, recent: torch.Tensor, candidates: int
    ) -> torch.Tensor:
        """As of Sampler; `candidates` does not matter."""
        choices = (self.temperature, self.top_k, self.top_p, self.repeats, self.window, self.uniform)
        parts = (part.numpy() for part in (logits.contiguous(), columns, recent, *choices))
        return torch.from_numpy(drawn(*parts, self.bos_code))
