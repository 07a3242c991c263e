"""Train the second language model on a CPU or a GPU: next-column prediction, with two guided attention heads.

As the first (train.language_model): Muon for the layers' matrices, AdamW for the rest, an exponential moving
average that ships, and a state that is saved often and resumed. New: dropout and decay, for there are few
hours of speech, and the losses of voices and texts that are never trained on, so that what is learned by
heart is seen.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from audio.frames import CODEBOOKS
from higgs.codecs.vocoder.v2.network import PROSODY_BOOK, READING_BOOK, VOICE_BOOK
from higgs.model.transformer import HiggsModel
from train.copying import Copying
from train.language_model import book_losses
from train.muon import Muon
from train.v2.batches import Batch, Loader
from train.v2.forward import forward
from train.v2.parts import save_parts

READING_WEIGHT, VOICE_WEIGHT = 2.0, 0.7
BOOK_WEIGHTS = (0.7, 1.2, 0.7, 0.4, 0.25, 0.15)  # prosody, then the five of the envelope
VOICE_SHARE = 3  # every third position learns the codes of the voice, which repeat
AVERAGE, AVERAGE_EVERY = 0.98, 10
BOOKS = range(VOICE_BOOK, VOICE_BOOK + 1)
# On a CPU the plain attention is several times faster backwards than the fused one. cuDNN's would plan anew
# for every shape.
ATTENTION = {
    "cpu": [SDPBackend.MATH],
    "cuda": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH],
}
NUMBERS = torch.bfloat16  # of the layers; what they add up is in float32


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        minutes: of training in all.
        positions: of a batch.
        matrix_rate, rate: maximum learning rates of Muon and AdamW.
        decay: of Muon's weights.
        warm_up_steps, decay_share: steps in which the rates rise; share of the training in which they fall.
        guide: weight of the guided heads.
        dropout: of what each layer adds, and of the embeddings.
        first_longest, longest: maximum target in seconds at first, and from 0.4 of the training on.
        save_minutes: between two saves.
        workers: processes that make batches.
        report, judge: steps between two lines of losses, and of held-out ones.
    """

    minutes: float
    positions: int = 4096
    matrix_rate: float = 3e-3
    rate: float = 2e-3
    decay: float = 0.02
    warm_up_steps: int = 80
    decay_share: float = 0.4
    guide: float = 0.5
    dropout: float = 0.05
    first_longest: float = 4.0
    longest: float = 14.0
    save_minutes: float = 4.0
    workers: int = 1
    report: int = 10
    judge: int = 200

    @classmethod
    def of_gpu(cls, minutes: float) -> "Schedule":
        """Return a schedule with batches for a large GPU, made by a process per spare core."""
        return replace(
            cls(minutes),
            positions=48_000,
            decay=0.1,
            warm_up_steps=100,
            decay_share=0.75,
            dropout=0.15,
            save_minutes=1.0,
            workers=13,
            report=50,
            judge=250,
        )

    def factor(self, step: int, progress: float) -> float:
        """Return the factor of the rates: warm-up, constant, then a linear decay over the last share."""
        return min(1.0, (step + 1) / self.warm_up_steps, max(0.0, (1 - progress) / self.decay_share))

    def longest_target(self, progress: float) -> float:
        """Return the maximum target in seconds; short ones first, in which the alignment is found easily."""
        return self.first_longest + (self.longest - self.first_longest) * min(1.0, progress / 0.4)


class Trainer:
    """Model, optimisers and average, and the state to resume from.

    Args:
        model: on the CPU.
        schedule: see Schedule.
        state: file to resume from; the average goes beside it (see train.v2.parts).
        device: cpu or cuda.
    """

    def __init__(self, model: HiggsModel, schedule: Schedule, state: Path, device: str) -> None:
        self.copying = Copying(model, BOOKS).to(device)
        self.model, self.schedule, self.state, self.device = model.to(device), schedule, state, device
        matrices = [p for layer in model.model.layers for p in layer.parameters() if p.dim() == 2]
        chosen = {id(p) for p in matrices}
        others = [p for p in model.parameters() if id(p) not in chosen] + [*self.copying.parameters()]
        muon = Muon(matrices, schedule.matrix_rate, decay=schedule.decay)
        adam = torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
        self.optimisers: list[tuple[torch.optim.Optimizer, float]] = [
            (muon, schedule.matrix_rate),
            (adam, schedule.rate),
        ]
        self.weights = torch.tensor(BOOK_WEIGHTS, device=device)
        self.average = {name: part.detach().clone() for name, part in model.state_dict().items()}
        self.step, self.minutes = 0, 0.0
        if state.exists():
            self._load()

    def run(self, loader: Loader, unseen: list[Batch]) -> None:
        """Train until the schedule's minutes are spent, including those of earlier runs.

        Args:
            loader: makes the batches.
            unseen: batches of voices and texts that are never trained on.
        """
        unseen = [batch.to(self.device) for batch in unseen]
        begun, saved = time.monotonic() - self.minutes * 60, time.monotonic()
        window, seen = time.monotonic(), 0
        schedule = self.schedule
        batches = loader.batches(schedule.longest_target(self.minutes / schedule.minutes))
        while (progress := self.minutes / schedule.minutes) < 1:
            loader.longest = schedule.longest_target(progress)
            batch = next(batches)
            parts = self._update(batch.to(self.device), progress)
            seen += batch.ids.numel()
            if self.step % schedule.report == 0:
                told = told_of(parts)  # waits for the GPU
                rate, window, seen = seen / (time.monotonic() - window), time.monotonic(), 0
                print(f"{self.minutes:.2f} min, step {self.step}, {rate:.0f} positions/s: {told}", flush=True)
            if self.step % schedule.judge == 0 and unseen:
                print(f"  unseen: {told_of(self.judged(unseen))}", flush=True)
            self.minutes = (time.monotonic() - begun) / 60
            if time.monotonic() - saved > schedule.save_minutes * 60:
                self._save()
                saved = time.monotonic()
        self.model.load_state_dict(self.average)
        if unseen:
            print(f"the average, unseen: {told_of(self.judged(unseen))}", flush=True)
        self._save()

    @torch.no_grad()
    def judged(self, batches: list[Batch]) -> dict[str, torch.Tensor]:
        """Return the mean losses of batches in nats."""
        found = [self._loss(batch, 0.0)[1] for batch in batches]
        return {name: torch.stack([parts[name] for parts in found]).mean() for name in found[0]}

    def _update(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        with sdpa_kernel(ATTENTION[self.device]):
            loss, parts = self._loss(batch, self.schedule.dropout)
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

    def _loss(self, batch: Batch, dropout: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the weighted loss of a batch, and its parts in nats."""
        model = self.model
        hidden, guide = forward(model, batch, NUMBERS, dropout)
        rows, targets = hidden.flatten(0, 1).index_select(0, batch.learned), batch.targets
        with torch.autocast(self.device, NUMBERS):
            reading = book_losses(model, rows, targets, range(READING_BOOK, READING_BOOK + 1))[0]
            losses = book_losses(model, rows, targets, range(PROSODY_BOOK, CODEBOOKS))
            some = slice(self.step % VOICE_SHARE, None, VOICE_SHARE)
            voice = book_losses(model, rows[some], targets[some], BOOKS, self.copying.rows(model))
        total = READING_WEIGHT * reading + VOICE_WEIGHT * voice.sum() + (losses * self.weights).sum()
        parts = {"reading": reading, "voice": voice.mean(), "prosody": losses[0], "guide": guide}
        parts |= {f"c{i}": loss for i, loss in enumerate(losses[1:])}
        detached = {name: part.detach() for name, part in parts.items()}
        return total + self.schedule.guide * guide, detached

    def _move_average(self) -> None:
        self.copying.write(self.model)
        keep = min(AVERAGE, 1 - AVERAGE_EVERY / (10 + self.step / 10))
        torch._foreach_lerp_(list(self.average.values()), list(self.model.state_dict().values()), 1 - keep)

    def _save(self) -> None:
        save_parts(self.average, self.state.parent, self.step)
        if self.device == "cuda":  # such a machine is gone afterwards
            return
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


def told_of(parts: dict[str, torch.Tensor]) -> str:
    """Return losses as text."""
    values = torch.stack([*parts.values()]).tolist()
    return " ".join(f"{name} {value:.3f}" for name, value in zip(parts, values, strict=True))
