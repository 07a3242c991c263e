"""Train the language model: next-column prediction, with two attention heads guided at first.

Muon (K. Jordan, 2024) updates the layers' matrices, AdamW the rest. The state is saved every few minutes, and
training resumes from it; the weights that ship are an exponential moving average.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, IterableDataset

from audio.frames import CODEBOOKS
from higgs.codecs.vocoder.network import PROSODY_BOOK
from higgs.model.transformer import HiggsModel
from train.copying import BOOKS, Copying, embedded
from train.examples import Example, Examples, collate
from train.guide import Pronunciation, guided_forward
from train.muon import Muon

READING_WEIGHT, VOICE_WEIGHT, PRONUNCIATION_WEIGHT = 4.0, 3.0, 0.5
BOOK_WEIGHTS = (0.7, 1.2, 0.7, 0.25, 0.15)  # prosody, then the four of the envelope
VOICE_SHARE = 3  # every third position learns the codes of the voice, which repeat
AVERAGE, AVERAGE_EVERY = 0.98, 10
MAX_TARGET_SECONDS = 8.0  # longer texts are spoken in chunks


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        minutes: of training in all.
        positions: of a batch.
        matrix_rate, rate: maximum learning rates of Muon and AdamW.
        warm_up_steps: steps until the maximum.
        decay_share: share of the training in which the rates fall.
        guide, guided_share: weight of the guide, and the share of the training in which it falls to 0.
        first_max_seconds: maximum clip at the start.
        save_minutes: between two saves.
        holds_voices: keep the embeddings of the voice codes and their map to the head fixed.
    """

    minutes: float
    positions: int = 5120
    matrix_rate: float = 3e-3
    rate: float = 2e-3
    warm_up_steps: int = 80
    decay_share: float = 0.3
    guide: float = 0.6
    guided_share: float = 2 / 3
    first_max_seconds: float = 3.0
    save_minutes: float = 4.0
    holds_voices: bool = False

    @classmethod
    def of_trained(cls, minutes: float) -> "Schedule":
        """Return the schedule for weights that can speak already.

        Half the rates, falling nearly from the start, clips of every length, and a lasting guide: without it,
        a model returns to earlier places of the text that look alike. The voices are held: otherwise the
        embeddings of the teachers' own voices drift away from the others, which are then no longer copied.
        """
        return cls(
            minutes,
            matrix_rate=1.5e-3,
            rate=1e-3,
            decay_share=0.85,
            guide=0.4,
            guided_share=math.inf,
            first_max_seconds=MAX_TARGET_SECONDS,
            holds_voices=True,
        )

    def factor(self, step: int, progress: float) -> float:
        """Return the factor of the rates: warm-up, constant, then a linear decay over the last share."""
        return min(1.0, (step + 1) / self.warm_up_steps, max(0.0, (1 - progress) / self.decay_share) + 0.01)

    def guidance(self, progress: float) -> float:
        """Return the weight of the guide, which falls linearly to 0."""
        return self.guide * max(0.0, 1 - progress / self.guided_share)

    def longest(self, progress: float) -> float:
        """Return the maximum clip in seconds; short ones first, in which the alignment is found easily."""
        growth = MAX_TARGET_SECONDS - self.first_max_seconds
        return self.first_max_seconds + growth * min(1.0, progress / 0.5)


def book_losses(
    model: HiggsModel,
    hidden: torch.Tensor,
    targets: torch.Tensor,
    books: range,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean cross-entropy (books,) of rows (P, H) against targets (P, 8), special codes apart.

    weight: rows of the head for these books, if not the model's own.
    """
    size = model.config.codebook_size
    if weight is None:
        weight = model.audio_lm_head.weight[books.start * size : books.stop * size]
    logits = F.linear(hidden, weight).float().view(-1, size)
    wanted = targets[:, books.start : books.stop]
    wanted = wanted.masked_fill(wanted == model.config.bos_code, -100)
    each = F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="none")
    return each.view(-1, len(books)).sum(0) / (wanted >= 0).sum(0).clamp(min=1)


def batch_loss(
    model: HiggsModel, pronunciation: Pronunciation, copying: Copying, batch: Example, guidance: float
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the weighted loss of a batch, and its parts in nats."""
    embeddings = model.embed(batch.ids, batch.columns, batch.mask)
    letters = batch.letters if guidance > 0 else None
    hidden, middle, guide = guided_forward(model, embeddings, batch.mask, letters)
    pronounced = pronunciation(middle, batch.sounds)
    rows, targets = hidden[batch.learn], batch.targets[batch.learn]
    reading = book_losses(model, rows, targets, range(1))[0]
    losses = book_losses(model, rows, targets, range(PROSODY_BOOK, CODEBOOKS))
    some = torch.rand(len(rows)) < 1 / VOICE_SHARE
    voice = book_losses(model, rows[some], targets[some], BOOKS, copying.rows(model))
    total = (
        READING_WEIGHT * reading
        + VOICE_WEIGHT * voice.sum()
        + (losses * torch.tensor(BOOK_WEIGHTS)).sum()
        + guidance * guide
        + PRONUNCIATION_WEIGHT * pronounced
    )
    parts = {"reading": reading, "voice": voice.mean(), "prosody": losses[0], "guide": guide}
    parts["pronounced"] = pronounced
    parts |= {f"c{i}": loss for i, loss in enumerate(losses[1:])}
    return total, {name: float(part.detach()) for name, part in parts.items()}


def compile_layers(model: HiggsModel) -> None:
    """Compile the layers, which share one graph, so that pointwise operations are fused."""
    for layer in model.model.layers:
        layer.compile(dynamic=True)


class Batches(IterableDataset):
    """Endless collated batches, for a DataLoader."""

    def __init__(self, examples: Examples, positions: int, longest: float, seed: int) -> None:
        self.examples, self.positions, self.longest, self.seed = examples, positions, longest, seed

    def __iter__(self) -> Iterator[Example]:
        self.examples.seed(self.seed)
        return map(collate, self.examples.batches(self.positions, self.longest))


class Trainer:
    """Model, optimisers and average, and the state to resume from."""

    def __init__(self, model: HiggsModel, schedule: Schedule, state: Path) -> None:
        self.model, self.schedule, self.state = model, schedule, state
        self.pronunciation, self.copying = Pronunciation(model.config.hidden_size), Copying(model)
        matrices = [p for layer in model.model.layers for p in layer.parameters() if p.dim() == 2]
        chosen = {id(p) for p in matrices}
        others = [p for p in model.parameters() if id(p) not in chosen]
        others += [*self.pronunciation.parameters(), *self.copying.parameters()]
        self.optimisers: list[tuple[torch.optim.Optimizer, float]] = [
            (Muon(matrices, schedule.matrix_rate), schedule.matrix_rate),
            (torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.01, fused=True), schedule.rate),
        ]
        self.average = {name: part.detach().clone() for name, part in model.state_dict().items()}
        self.step, self.minutes = 0, 0.0
        if state.exists():
            self._load()
        held = [*self.copying.parameters(), *(embedded(model, book) for book in BOOKS)]
        self._held = [(part, part.detach().clone()) for part in held if schedule.holds_voices]

    def run(self, examples: Examples) -> None:
        """Train until the schedule's minutes are spent, including those of earlier runs."""
        compile_layers(self.model)
        begun, saved, seen = time.monotonic() - self.minutes * 60, time.monotonic(), 0
        sums: dict[str, float] = {}
        batches, longest = None, 0.0
        window = time.monotonic()
        while (progress := self.minutes / self.schedule.minutes) < 1:
            if self.schedule.longest(progress) > longest + 2 or batches is None:
                longest = self.schedule.longest(progress)
                batches = self._loader(examples, longest)
            batch = next(batches)
            parts = self._update(batch, progress)
            seen += int(batch.ids.numel())
            sums = {name: 0.98 * sums.get(name, value) + 0.02 * value for name, value in parts.items()}
            self.minutes = (time.monotonic() - begun) / 60
            if self.step % 20 == 0:
                rate = seen / (time.monotonic() - window)
                told = " ".join(f"{name} {value:.3f}" for name, value in sums.items())
                print(f"{self.minutes:.1f} min, step {self.step}, {rate:.0f} positions/s: {told}", flush=True)
                seen, window = 0, time.monotonic()
            if time.monotonic() - saved > self.schedule.save_minutes * 60:
                self._save()
                saved = time.monotonic()
        self._save()

    def _loader(self, examples: Examples, longest: float) -> Iterator[Example]:
        """Return batches that a process of its own makes, beside the training."""
        stream = Batches(examples, self.schedule.positions, longest, seed=self.step)
        return iter(DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=4))

    def _update(self, batch: Example, progress: float) -> dict[str, float]:
        # On a CPU, the backward pass of plain attention is several times faster than the fused one's.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            guidance = self.schedule.guidance(progress)
            loss, parts = batch_loss(self.model, self.pronunciation, self.copying, batch, guidance)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        factor = self.schedule.factor(self.step, progress)
        for optimiser, rate in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            for part, value in self._held:
                part.copy_(value)
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            self.copying.write(self.model)
            keep = min(AVERAGE, 1 - AVERAGE_EVERY / (10 + self.step / 10))
            torch._foreach_lerp_(
                list(self.average.values()), list(self.model.state_dict().values()), 1 - keep
            )
        return parts

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "pronunciation": self.pronunciation.state_dict(),
            "copying": self.copying.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser, _ in self.optimisers],
            "step": self.step,
            "minutes": self.minutes,
            "schedule": asdict(self.schedule),
        }
        partial = self.state.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.state)

    def _load(self) -> None:
        state = torch.load(self.state)
        self.model.load_state_dict(state["model"])
        self.pronunciation.load_state_dict(state["pronunciation"])
        self.copying.load_state_dict(state["copying"])
        for (optimiser, _), saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.average, self.step, self.minutes = state["average"], state["step"], state["minutes"]
