"""The training loop of the codec's networks: a time budget, with a cosine learning rate."""

import time
from collections.abc import Callable

import numpy as np
import torch

REPORT = 100  # steps


def fit(
    parameters: list[torch.nn.Parameter],
    losses: Callable[[], dict[str, torch.Tensor]],
    minutes: float,
    rate: float,
    warm_up_steps: int,
) -> None:
    """Minimise the sum of the losses on batch after batch, and print their running means.

    Args:
        parameters: to train.
        losses: draws a batch and returns its losses by name.
        minutes: time budget.
        rate: maximum learning rate of AdamW.
        warm_up_steps: steps until the maximum.
    """
    optimiser = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=0.01)
    begun, step = time.monotonic(), 0
    means: dict[str, float] = {}
    while (elapsed := (time.monotonic() - begun) / (minutes * 60)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / warm_up_steps) * max(0.03, np.cos(elapsed * np.pi / 2))
        parts = losses()
        optimiser.zero_grad()
        sum(parts.values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        values = {name: float(part.detach()) for name, part in parts.items()}
        means = {name: 0.98 * means.get(name, value) + 0.02 * value for name, value in values.items()}
        step += 1
        if step % REPORT == 0:
            told = " ".join(f"{name} {value:.3f}" for name, value in means.items())
            print(f"{step} {elapsed:.2f} {told}", flush=True)
