"""Train the second language model on a CPU or a GPU: next-column prediction, with two guided attention heads.

As the first (train.language_model): Muon for the layers' matrices, AdamW for the rest, an exponential moving
average that ships, and a state that is saved often and resumed.
"""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, IterableDataset

from audio.frames import CODEBOOKS
from higgs.codecs.vocoder.v2.network import PROSODY_BOOK, READING_BOOK, VOICE_BOOK
from higgs.model.transformer import HiggsModel
from train.copying import Copying
from train.examples import Example
from train.guide import guided_forward
from train.language_model import book_losses, compile_layers
from train.muon import Muon
from train.v2.examples import Examples

READING_WEIGHT, VOICE_WEIGHT = 2.0, 0.7
BOOK_WEIGHTS = (0.7, 1.2, 0.7, 0.4, 0.25, 0.15)  # prosody, then the five of the envelope
VOICE_SHARE = 3  # every third position learns the codes of the voice, which repeat
AVERAGE, AVERAGE_EVERY = 0.98, 10
BOOKS = range(VOICE_BOOK, VOICE_BOOK + 1)
REPORT = 10  # steps


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    minutes: of training in all. positions: of a batch. Rates: the maxima of Muon and AdamW. longest: maximum
    target in seconds, from half of the training on. guide: weight of the guided heads.
    """

    minutes: float
    positions: int = 4096
    matrix_rate: float = 3e-3
    rate: float = 2e-3
    warm_up_steps: int = 80
    decay_share: float = 0.4
    guide: float = 0.5
    first_longest: float = 4.0
    longest: float = 14.0
    save_minutes: float = 4.0
    workers: int = 1

    @classmethod
    def of_gpu(cls, minutes: float) -> "Schedule":
        """Return a schedule with batches for a large GPU, made by a process per spare core."""
        return replace(cls(minutes), positions=48_000, save_minutes=2.0, workers=12)

    def factor(self, step: int, progress: float) -> float:
        """Return the factor of the rates: warm-up, constant, then a linear decay over the last share."""
        return min(1.0, (step + 1) / self.warm_up_steps, max(0.0, (1 - progress) / self.decay_share) + 0.01)

    def longest_target(self, progress: float) -> float:
        """Return the maximum target in seconds; short ones first, in which the alignment is found easily."""
        return self.first_longest + (self.longest - self.first_longest) * min(1.0, progress / 0.4)


class Batches(IterableDataset):
    """Endless batches, for a DataLoader; each of its processes draws others."""

    def __init__(self, examples: Examples, positions: int, longest: float, seed: int) -> None:
        self.examples, self.positions, self.longest, self.seed = examples, positions, longest, seed

    def __iter__(self) -> Iterator[Example]:
        worker = torch.utils.data.get_worker_info()
        self.examples.seed(1000 * self.seed + (worker.id if worker else 0))
        return self.examples.batches(self.positions, self.longest)


class Trainer:
    """Model, optimisers and average, and the state to resume from."""

    def __init__(self, model: HiggsModel, schedule: Schedule, state: Path, device: str) -> None:
        self.copying = Copying(model, BOOKS).to(device)
        self.model, self.schedule, self.state, self.device = model.to(device), schedule, state, device
        matrices = [p for layer in model.model.layers for p in layer.parameters() if p.dim() == 2]
        chosen = {id(p) for p in matrices}
        others = [p for p in model.parameters() if id(p) not in chosen] + [*self.copying.parameters()]
        self.optimisers: list[tuple[torch.optim.Optimizer, float]] = [
            (Muon(matrices, schedule.matrix_rate), schedule.matrix_rate),
            (torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.01, fused=True), schedule.rate),
        ]
        self.average = {name: part.detach().clone() for name, part in model.state_dict().items()}
        self.step, self.minutes = 0, 0.0
        if state.exists():
            self._load()

    def run(self, examples: Examples) -> None:
        """Train until the schedule's minutes are spent, including those of earlier runs."""
        compile_layers(self.model)
        begun, saved, longest = time.monotonic() - self.minutes * 60, time.monotonic(), 0.0
        window, seen, batches = time.monotonic(), 0, None
        sums: dict[str, float] = {}
        while (progress := self.minutes / self.schedule.minutes) < 1:
            if batches is None or self.schedule.longest_target(progress) > longest + 2:
                longest = self.schedule.longest_target(progress)
                batches = self._loader(examples, longest)
            batch = next(batches)
            parts = self._update(batch, progress)
            seen += batch.ids.numel()
            self.minutes = (time.monotonic() - begun) / 60
            if self.step % REPORT == 0:
                sums = {name: 0.8 * sums.get(name, float(v)) + 0.2 * float(v) for name, v in parts.items()}
                rate, window, seen = seen / (time.monotonic() - window), time.monotonic(), 0
                told = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
                print(f"{self.minutes:.1f} min, step {self.step}, {rate:.0f} positions/s: {told}", flush=True)
            if time.monotonic() - saved > self.schedule.save_minutes * 60:
                self._save()
                saved = time.monotonic()
        self._save()

    def _loader(self, examples: Examples, longest: float) -> Iterator[Example]:
        """Return batches that other processes make, beside the training."""
        stream = Batches(examples, self.schedule.positions, longest, seed=self.step)
        return iter(DataLoader(stream, batch_size=None, num_workers=self.schedule.workers, prefetch_factor=4))

    def _update(self, batch: Example, progress: float) -> dict[str, torch.Tensor]:
        batch = Example(**{name: part.to(self.device) for name, part in vars(batch).items()})
        cpu = self.device == "cpu"
        # On a CPU the plain attention is several times faster backwards than the fused one.
        attention = sdpa_kernel(SDPBackend.MATH) if cpu else nullcontext()
        with torch.autocast(self.device, torch.bfloat16), attention:
            loss, parts = self._loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        factor = self.schedule.factor(self.step, progress)
        for optimiser, rate in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            self._move_average()
        return parts

    def _loss(self, batch: Example) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the weighted loss of a batch, and its parts in nats."""
        model = self.model
        embeddings = model.embed(batch.ids, batch.columns, batch.mask)
        hidden, _, guide = guided_forward(model, embeddings, batch.mask, batch.letters)
        rows, targets = hidden[batch.learn], batch.targets[batch.learn]
        reading = book_losses(model, rows, targets, range(READING_BOOK, READING_BOOK + 1))[0]
        losses = book_losses(model, rows, targets, range(PROSODY_BOOK, CODEBOOKS))
        some = torch.rand(len(rows), device=rows.device) < 1 / VOICE_SHARE
        voice = book_losses(model, rows[some], targets[some], BOOKS, self.copying.rows(model))
        weights = torch.tensor(BOOK_WEIGHTS, device=rows.device)
        total = READING_WEIGHT * reading + VOICE_WEIGHT * voice.sum() + (losses * weights).sum()
        parts = {"reading": reading, "voice": voice.mean(), "prosody": losses[0], "guide": guide}
        parts |= {f"c{i}": loss for i, loss in enumerate(losses[1:])}
        detached = {name: part.detach() for name, part in parts.items()}
        return total + self.schedule.guide * guide, detached

    def _move_average(self) -> None:
        self.copying.write(self.model)
        keep = min(AVERAGE, 1 - AVERAGE_EVERY / (10 + self.step / 10))
        torch._foreach_lerp_(list(self.average.values()), list(self.model.state_dict().values()), 1 - keep)

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "copying": self.copying.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser, _ in self.optimisers],
            "step": self.step,
            "minutes": self.minutes,
        }
        partial = self.state.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.state)

    def _load(self) -> None:
        state = torch.load(self.state, map_location=self.device)
        self.model.load_state_dict(state["model"])
        self.copying.load_state_dict(state["copying"])
        for (optimiser, _), saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.average, self.step, self.minutes = state["average"], state["step"], state["minutes"]
