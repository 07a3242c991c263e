"""Choosing a column of codes from the model's distributions."""

from dataclasses import dataclass

import torch

from errors import InvalidRequest
from higgs.config import HiggsConfig


@dataclass(frozen=True)
class SamplingOptions:
    """How codes are drawn, per codebook: temperature, then top-k, then top-p, then a look at repetitions.

    temperature: 0 takes the likeliest code.
    top_k:       None for no limit.
    ras_window, ras_repeats: repetition-aware sampling. A code that stands `ras_repeats` times or more in the
        last `ras_window` columns of its codebook is drawn again from the plain distribution; 0 turns it off.
    seed:        the same seed gives the same codes; None draws one.
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
            "ras_window": (self.ras_window >= 0, "0 or more"),
            "ras_repeats": (self.ras_repeats >= 1, "at least 1"),
            "seed": (self.seed is None or 0 <= self.seed < 2**63, "from 0 to 2**63 - 1"),
        }
        for name, (good, allowed) in checks.items():
            if not good:
                raise InvalidRequest(f"{name} must be {allowed}, not {getattr(self, name)}.", param=name)


class Sampler:
    """Draws the codes of one request, [1, K] a column; all random numbers are drawn at its making.

    A draw takes one uniform number per codebook through the inverse of the distribution, so that a seed
    gives the same codes whatever else the device computes.
    """

    def __init__(
        self,
        options: SamplingOptions,
        config: HiggsConfig,
        max_columns: int,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        greedy = options.temperature == 0
        self.temperature = 1.0 if greedy else options.temperature
        self.top_k = 1 if greedy else min(options.top_k or config.codebook_size, config.codebook_size)
        self.top_p = options.top_p
        self.window, self.repeats = options.ras_window, options.ras_repeats
        self.bos_code = config.bos_code
        self.recent = torch.full((1, max(1, self.window), config.num_codebooks), -1, device=device)
        generator = torch.Generator().manual_seed(seed)
        uniform = torch.rand(max_columns, 2, 1, config.num_codebooks, 1, generator=generator)
        self.uniform = uniform.to(device)

    def draw(self, logits: torch.Tensor, column: int) -> torch.Tensor:
        """Codes [1, K] for a column from its float32 logits [1, K, V]."""
        first, second = self.uniform[column]
        codes = self._draw_filtered(logits, first)
        if self.window:
            repeated = (self.recent == codes[:, None]).sum(1) >= self.repeats
            plain = inverse_cdf(logits.softmax(-1), second)
            codes = torch.where(repeated & (codes < self.bos_code), plain, codes)
        return codes

    def remember(self, codes: torch.Tensor, column: int) -> None:
        """Take the codes [1, K] that stand in a column into the window of repetitions."""
        if self.window:
            self.recent[:, column % self.window] = codes

    def _draw_filtered(self, logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        candidates, codes = logits.topk(self.top_k)
        probabilities = (candidates / self.temperature).softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        kept = probabilities.masked_fill(before >= self.top_p, 0.0)
        return codes.gather(-1, inverse_cdf(kept, uniform)[..., None]).squeeze(-1)


def inverse_cdf(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The index [...] at which uniform [..., 1] in [0, 1) falls among weights [..., V] of positive sum."""
    cumulative = weights.cumsum(-1)
    total = cumulative[..., -1:].contiguous()
    index = torch.searchsorted(cumulative, uniform * total, right=True)
    # Where rounding lifts the product to the total itself, the last index of any weight stands for it.
    return index.minimum(torch.searchsorted(cumulative, total)).squeeze(-1)
