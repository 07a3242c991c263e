"""Passages → features with their timings, on disk and back; one .npz per shard of speech."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME, analyse
from higgs.codecs.vocoder.bands import WIDE
from higgs.codecs.vocoder.speaker import speech_steps
from train.natural import Passage, load_passages
from train.v2.phones import Timing, timing

FULL_SCALE = 32767
ROWS = ("log_f0", "voiced", "envelope")  # of each step
ARRAYS = ("symbols", "begins", "words", "places", "spans")


@dataclass(frozen=True, eq=False)
class Utterance:
    """A passage.

    Attributes: pitch (F,) in ln Hz, voiced (F,), envelope (F, 80) float16 ln power; mean (80,) over the steps
    of speech; level and spread of its pitch.
    """

    text: str
    style: str
    timing: Timing
    log_f0: np.ndarray
    voiced: np.ndarray
    envelope: np.ndarray
    mean: np.ndarray
    level: float
    spread: float

    @property
    def steps(self) -> int:
        return len(self.log_f0)


def analysed(passage: Passage) -> Utterance | None:
    """Return the features of a passage; None if it can't be aligned, or nothing in it is voiced."""
    when = timing(passage)
    if when is None:
        return None
    found = analyse(passage.samples.astype(np.float32) / FULL_SCALE, WIDE)
    kept = slice(when.first, when.first + (when.last - when.first) // STEPS_PER_FRAME * STEPS_PER_FRAME)
    log_f0, voiced, envelope = found.log_f0[kept], found.voiced[kept], found.envelope[kept]
    spoken = log_f0[voiced > 0.5]
    if len(spoken) < 10 or len(log_f0) < len(when.symbols):
        return None
    mean = envelope[speech_steps(envelope)].mean(0)
    return Utterance(
        passage.text,
        passage.style,
        when,
        log_f0.astype(np.float16),
        voiced > 0.5,
        envelope.astype(np.float16),
        mean,
        float(np.median(spoken)),
        float(spoken.std()),
    )


def save(path: Path, utterances: list[Utterance]) -> None:
    """Write a shard."""
    timings = [u.timing for u in utterances]
    arrays = {name: np.concatenate([getattr(t, name) for t in timings]) for name in ARRAYS}
    notes = [
        {
            "text": u.text,
            "style": u.style,
            "lengths": [len(getattr(u.timing, name)) for name in ARRAYS],
            "steps": u.steps,
            "level": u.level,
            "spread": u.spread,
            "first": u.timing.first,
            "last": u.timing.last,
        }
        for u in utterances
    ]
    partial = path.with_suffix(".partial.npz")
    arrays |= {name: np.concatenate([getattr(u, name) for u in utterances]) for name in ROWS}
    arrays |= {"notes": np.array(json.dumps(notes)), "mean": np.stack([u.mean for u in utterances])}
    np.savez(partial, allow_pickle=False, **arrays)
    partial.replace(path)


def load(path: Path) -> list[Utterance]:
    """Read what `save` wrote."""
    with np.load(path) as shard:
        parts = {name: shard[name] for name in shard.files if name != "notes"}
        notes = json.loads(str(shard["notes"]))
    at, step, found = [0] * len(ARRAYS), 0, []
    for note, mean in zip(notes, parts["mean"], strict=True):
        timed = {}
        for i, (name, length) in enumerate(zip(ARRAYS, note["lengths"], strict=True)):
            timed[name] = parts[name][at[i] : at[i] + length]
            at[i] += length
        kept = slice(step, step + note["steps"])
        step += note["steps"]
        when = Timing(**timed, first=note["first"], last=note["last"])
        log_f0, voiced, envelope = (parts[name][kept] for name in ROWS)
        told = (note["level"], note["spread"])
        found.append(Utterance(note["text"], note["style"], when, log_f0, voiced, envelope, mean, *told))
    return found


def make(work: Path) -> list[Path]:
    """Analyse shards of speech that have no features yet; return the files but for the held-out one."""
    folder = work / "features"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for source in sorted((work / "natural").glob("[0-9][0-9][0-9][0-9].npz")):
        target = folder / source.name
        if not target.exists():
            save(target, [u for u in map(analysed, load_passages(source)) if u is not None])
            print(target, flush=True)
        if source.stem != "0000":
            found.append(target)
    return found
