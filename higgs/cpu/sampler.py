"""Sampler and DelayRule, compiled for the CPU: from logits to columns."""

# Numba infers the types of compiled functions, and passes an intrinsic's context itself.
# mypy: disable-error-code="no-untyped-def, call-arg"

import numpy as np
import torch

from higgs.cpu.cache import PanelCache
from higgs.cpu.jit import jit, jit_reassociated
from higgs.cuda.decode import KernelDecode
from higgs.cuda.sampler import column_writer_on_gpu
from higgs.engine.column_writer import ColumnWriter
from higgs.engine.kv_cache import SlotCache
from higgs.engine.model_runner import DecodeFn, ModelRunner
from higgs.engine.sampler import Sampler
from higgs.model.config import HiggsConfig
from higgs.model.delay import DelayRule

OPEN = DelayRule.OPEN


@jit_reassociated
def at_least(logits, bound):
    """Return the number of logits ≥ bound."""
    count = np.float32(0.0)
    for code in range(len(logits)):
        count += np.float32(1.0) if logits[code] >= bound else np.float32(0.0)
    return count


@jit
def bound_of(logits, count):
    """Return a lower bound of the `count` largest logits, such that no more than `count` are above it."""
    top = logits[0]
    for code in range(len(logits)):
        top = max(top, logits[code])
    low, high, reach = top, np.float32(np.inf), np.float32(1.0)
    while at_least(logits, low) < count:
        if reach > np.float32(1e30):  # the rest are -inf, or there are NaNs
            return np.float32(-np.inf)
        low, high, reach = top - reach, low, reach + reach
    while at_least(logits, low) > count:
        middle = low + (high - low) / np.float32(2.0)
        if not low < middle < high:
            break
        if at_least(logits, middle) >= count:
            low = middle
        else:
            high = middle
    return low


@jit
def sort_descending(values, codes, count):
    """Sort the first `count` values in descending order, and the codes with them; of equals by code.

    D. L. Shell's method with M. Ciura's gaps. Numba would compile np.argsort for four seconds.
    """
    for gap in (701, 301, 132, 57, 23, 10, 4, 1):
        for index in range(gap, count):
            value, code, place = values[index], codes[index], index
            while place >= gap:
                other, its = values[place - gap], codes[place - gap]
                if other > value or (other == value and its < code):
                    break
                values[place], codes[place] = other, its
                place -= gap
            values[place], codes[place] = value, code


@jit
def select_top_k(logits, count, values, codes):
    """Write the `count` largest logits [V], in descending order, and their codes to values and codes [V]."""
    bound, found = bound_of(logits, count), 0
    for code in range(len(logits)):
        if logits[code] > bound:
            values[found], codes[found] = logits[code], code
            found += 1
    for code in range(len(logits)):
        if found < count and logits[code] == bound:
            values[found], codes[found] = logits[code], code
            found += 1
    sort_descending(values, codes, count)


@jit
def inverse_cdf(weights, count, uniform):
    """Return the index at which uniform in [0, 1) falls among the first `count` weights, of positive sum."""
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


@jit
def softmax(values, count, divisor):
    """Replace the first `count` values by the softmax of value / divisor."""
    largest = values[0]
    for index in range(count):
        largest = max(largest, values[index])
    total = np.float32(0.0)
    for index in range(count):
        values[index] = np.exp((values[index] - largest) / divisor)
        total += values[index]
    for index in range(count):
        values[index] /= total


@jit
def sample(logits, size, columns, recent, temperature, top_k, top_p, repeats, window, uniform, bos_code):
    """Return codes [n, K]; see Sampler, but a stream's logits are contiguous, [n, K * V or more]."""
    n, codebooks = len(logits), recent.shape[2]
    result = np.empty((n, codebooks), np.int64)
    values, codes = np.empty(size, np.float32), np.zeros(size, np.int64)
    for stream in range(n):
        first, second = uniform[stream, columns[stream], 0], uniform[stream, columns[stream], 1]
        for book in range(codebooks):
            count = top_k[stream, 0, 0]
            of_book = logits[stream, book * size : (book + 1) * size]
            select_top_k(of_book, count, values, codes)
            softmax(values, count, temperature[stream, 0, 0])
            kept, before = 0, np.float32(0.0)
            while kept < count and before < top_p[stream, 0, 0]:
                before += values[kept]
                kept += 1
            code = codes[inverse_cdf(values, kept, first[book, 0])]
            seen = 0
            for back in range(window.shape[1]):
                seen += window[stream, back, 0] and recent[stream, back, book] == code
            if seen >= repeats[stream, 0] and code < bos_code:
                for place in range(size):
                    values[place] = of_book[place]
                softmax(values, size, np.float32(1.0))
                code = inverse_cdf(values, size, second[book, 0])
            result[stream, book] = code
    return result


@jit
def enter(codes, recent, positions, columns, ends, bos_code, eos_code, marks, last):
    """Append sampled codes [n, K] as the streams' next columns; return [n, K + 1] as ColumnWriter does."""
    n, codebooks = codes.shape
    written = np.empty((n, codebooks + 1), np.int64)
    for stream in range(n):
        column, ended = columns[stream], np.int64(-1)
        for book in range(codebooks):
            if column - book > 0 and codes[stream, book] == eos_code:
                ended = max(ended, column - book)
        if ends[stream] == OPEN and ended >= 0:
            ends[stream] = ended
        for back in range(recent.shape[1] - 1):
            for book in range(codebooks):
                recent[stream, back, book] = recent[stream, back + 1, book]
        for book in range(codebooks):
            code = bos_code if column - book <= 0 else codes[stream, book]
            recent[stream, -1, book] = eos_code if column - book >= ends[stream] + marks else code
        for book in range(codebooks):
            written[stream, book] = min(recent[stream, book - codebooks, book], bos_code - 1)
        written[stream, codebooks] = ends[stream]
        positions[stream] = min(positions[stream] + 1, last)
        columns[stream] = min(column + 1, last)
    return written


class CompiledSampler(Sampler):
    """The compiled Sampler."""

    def draw(self, logits: torch.Tensor, columns: torch.Tensor, recent: torch.Tensor) -> torch.Tensor:
        """See Sampler."""
        n, size = len(logits), logits.shape[2]
        rows = logits.as_strided((n, logits.stride(0)), (logits.stride(0), 1))
        choices = (self.temperature, self.top_k, self.top_p, self.repeats, self.window, self.uniform)
        parts = (part.numpy() for part in (columns, recent, *choices))
        return torch.from_numpy(sample(rows.numpy(), size, *parts, self.bos_code))


class CompiledColumnWriter(ColumnWriter):
    """A ColumnWriter of two compiled functions."""

    SAMPLER = CompiledSampler

    def write(self, logits: torch.Tensor) -> torch.Tensor:
        """See ColumnWriter."""
        n, rule, config = len(logits), self.rule, self.config
        position, column, recent = self.position[:n], self.column[:n], self.recent[:n]
        codes = self.sampler.draw(rule.bar(logits, column), column, recent)
        state = (part.numpy() for part in (codes, recent, position, column, rule.end))
        return torch.from_numpy(enter(*state, config.bos_code, config.eos_code, rule.marks, self._last))


def model_runner_for(config: HiggsConfig, decode_fn: DecodeFn, cache: SlotCache | PanelCache) -> ModelRunner:
    """Return the model runner for a cache's device."""
    device = cache.device
    writer = CompiledColumnWriter if device.type == "cpu" else column_writer_on_gpu(config, device)
    any_length = isinstance(decode_fn, KernelDecode)
    return ModelRunner(config, decode_fn, cache, any_length=any_length, writer=writer)
