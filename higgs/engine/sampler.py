"""Sampling of a column of codes from the model's logits."""

from dataclasses import dataclass

import torch

from errors import InvalidRequest
from higgs.devices import upload
from higgs.model.config import HiggsConfig

MAX_WINDOW = 32  # maximum window of repetition-aware sampling, in columns

GREEDY_BELOW = 1e-5  # temperatures below can't divide logits in float32


@dataclass(frozen=True)
class SamplingOptions:
    """Sampling per codebook: temperature, then top-k, then top-p, then repetition-aware sampling.

    Attributes:
        temperature: 0, or below GREEDY_BELOW, is greedy.
        top_k: None for no limit.
        top_p: nucleus sampling; 1 for no limit.
        ras_window, ras_repeats: repetition-aware sampling. A code that occurs `ras_repeats` times or more
            in the last `ras_window` columns of its codebook is sampled again from the plain distribution.
            A window of 0 disables it.
        seed: the same seed gives the same codes; None chooses one.

    Raises:
        InvalidRequest: an option is out of range.
    """

    temperature: float = 1.0
    top_k: int | None = 50
    top_p: float = 0.95
    ras_window: int = 7
    ras_repeats: int = 2
    seed: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "temperature": (0 <= self.temperature <= 10, "from 0 to 10"),
            "top_k": (self.top_k is None or self.top_k >= 1, "at least 1"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "ras_window": (0 <= self.ras_window <= MAX_WINDOW, f"from 0 to {MAX_WINDOW}"),
            "ras_repeats": (self.ras_repeats >= 1, "at least 1"),
            "seed": (self.seed is None or 0 <= self.seed < 2**63, "from 0 to 2**63 - 1"),
        }
        for name, (good, allowed) in checks.items():
            if not good:
                raise InvalidRequest(f"{name} must be {allowed}, not {getattr(self, name)}.", param=name)


class Sampler:
    """Samples the codes [n, K] of up to `batch` streams per step, each with its own options.

    A stream's random numbers are generated at its start. Sampling one code uses one uniform number through
    the inverse CDF, so that a seed gives the same codes in any batch.
    """

    def __init__(
        self, config: HiggsConfig, columns: int, batch: int = 1, device: torch.device | str = "cpu"
    ) -> None:
        codebooks = config.num_codebooks
        self.bos_code, self.codebook_size = config.bos_code, config.codebook_size
        self.temperature = torch.ones(batch, 1, 1, device=device)
        self.top_k = torch.ones(batch, 1, 1, dtype=torch.int64, device=device)
        self.top_p = torch.ones(batch, 1, 1, device=device)
        self.repeats = torch.ones(batch, 1, dtype=torch.int64, device=device)
        self.window = torch.zeros(batch, MAX_WINDOW, 1, dtype=torch.bool, device=device)
        self.uniform = torch.zeros(batch, columns, 2, codebooks, 1, device=device)
        self.streams = torch.arange(batch, device=device)
        self.ranks = torch.arange(config.codebook_size, device=device)

    def start(self, stream: int, options: SamplingOptions, seed: int, columns: int) -> None:
        """Start a stream of up to `columns` columns."""
        greedy = options.temperature < GREEDY_BELOW
        limit = 1 if greedy else min(options.top_k or self.codebook_size, self.codebook_size)
        self.temperature[stream] = 1.0 if greedy else options.temperature
        self.top_k[stream] = limit
        self.top_p[stream] = options.top_p
        self.repeats[stream] = options.ras_repeats
        self.window[stream, : MAX_WINDOW - options.ras_window] = False
        self.window[stream, MAX_WINDOW - options.ras_window :] = True
        generator = torch.Generator().manual_seed(seed)
        shape = (columns, *self.uniform.shape[2:])
        self.uniform[stream, :columns] = upload(torch.rand(shape, generator=generator), self.uniform.device)

    def move(self, source: int, target: int) -> None:
        """Move a stream from row `source` to row `target`."""
        for tensor in (self.temperature, self.top_k, self.top_p, self.repeats, self.window, self.uniform):
            tensor[target] = tensor[source]

    def draw(self, logits: torch.Tensor, columns: torch.Tensor, recent: torch.Tensor) -> torch.Tensor:
        """Sample the codes [n, K] of the first n streams.

        Args:
            logits: [n, K, V] float32.
            columns: [n], the index of the column in each stream.
            recent: [n, MAX_WINDOW, K], the preceding columns, the latest last; -1 where there are none.
        """
        n = len(logits)
        first, second = self.uniform[self.streams[:n], columns].unbind(1)
        codes = self._draw_filtered(logits, first)
        seen = ((recent == codes[:, None]) & self.window[:n]).sum(1)
        again = (seen >= self.repeats[:n]) & (codes < self.bos_code)
        return torch.where(again, inverse_cdf(logits.softmax(-1), second), codes)

    def _draw_filtered(self, logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        n = len(logits)
        # stable: bfloat16's logits are often equal, and the kernels, too, have the lower code first then.
        likeliest, codes = logits.sort(descending=True, stable=True)
        beyond = self.ranks >= self.top_k[:n]
        probabilities = (likeliest / self.temperature[:n]).masked_fill_(beyond, -torch.inf).softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        kept = probabilities.masked_fill_(before >= self.top_p[:n], 0.0)
        return codes.gather(-1, inverse_cdf(kept, uniform)[..., None]).squeeze(-1)


def inverse_cdf(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Return the index [...] at which uniform [..., 1] in [0, 1) falls among weights [..., V].

    The weights have a positive sum; for others, including NaN, the result is some index within V.
    """
    cumulative = weights.cumsum(-1)
    total = cumulative[..., -1:].contiguous()
    index = torch.searchsorted(cumulative, uniform * total, right=True)
    # If rounding lifts the product to the total, use the last index with a weight.
    index = index.minimum(torch.searchsorted(cumulative, total))
    return index.clamp(max=weights.shape[-1] - 1).squeeze(-1)
