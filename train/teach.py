"""Let the neural teachers speak, shard after shard, until stopped; finished shards are kept.

    train/work/venv/bin/python -m train.teach --work train/work [--hours 40]

Shards of Kokoro (60 passages, each in one voice or a mixture of two) alternate with shards of hibari (120
passages). Shard 0000 has the voices held out for the judges, every tenth of Kokoro's the built-in voices. A
shard is one .npz file: int16 samples end to end, with texts, styles, speeds, phones and their durations (see
Shard).
"""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.built_in_voices import RECIPES
from train.passages import Passages
from train.teachers import (
    HELD_OUT,
    MAX_TOKENS,
    VOICES,
    FrontEnd,
    HibariTeacher,
    KokoroTeacher,
    TeacherSpeech,
    style_name,
)

KOKORO_PASSAGES, HIBARI_PASSAGES = 60, 120
PASSAGES_OF_ONE, MIXED_SHARE = 5, 0.5
BUILT_IN_FIRST, BUILT_IN_EVERY = 10, 20  # numbers of the shards in which the built-in voices speak
PEAK = 0.98


class Shard:
    """Collects spoken passages."""

    def __init__(self) -> None:
        self._samples: list[np.ndarray] = []
        self._durations: list[np.ndarray] = []
        self._notes: list[dict] = []

    def add(self, speech: TeacherSpeech, notes: dict) -> None:
        """Add a passage. notes: text, style, speed, phones and words, serialisable as JSON."""
        scaled = speech.samples * min(1.0, PEAK / max(float(np.abs(speech.samples).max()), 1e-6))
        self._samples.append(np.round(scaled * 32767).astype(np.int16))
        self._durations.append(speech.durations)
        self._notes.append(notes)

    def __len__(self) -> int:
        return len(self._notes)

    @property
    def seconds(self) -> float:
        return sum(map(len, self._samples)) / 24_000

    def save(self, path: Path) -> None:
        """Write the shard atomically."""
        partial = path.with_suffix(".partial.npz")
        np.savez(
            partial,
            samples=np.concatenate(self._samples),
            durations=np.concatenate(self._durations),
            notes=np.array(json.dumps(self._notes)),
        )
        partial.replace(path)


def draw_mixture(rng: random.Random, voices: tuple[str, ...]) -> dict[str, float]:
    """Draw one voice, or two with shares from 0.3 to 0.7."""
    if rng.random() >= MIXED_SHARE:
        return {rng.choice(voices): 1.0}
    one, other = rng.sample(voices, 2)
    share = round(rng.uniform(0.3, 0.7), 2)
    return {one: share, other: round(1 - share, 2)}


def draw_speed(rng: random.Random) -> float:
    """Draw a speed, mostly near the teacher's own and never so fast that words are lost."""
    return round(min(1.25, max(0.75, rng.gauss(0.97, 0.1))), 2)


@dataclass(frozen=True)
class Voice:
    """style, shift: see train.natural.Passage; mixture: shares of Kokoro's voices, none for hibari."""

    style: str
    mixture: dict[str, float]
    shift: float | None = None


def draw_voice(number: int, turn: int, rng: random.Random) -> Voice:
    """Return the voice of a shard's so many-th turn: a built-in one, or one drawn from the teachers'."""
    if number % 2:
        return Voice("hibari:af_heart", {})
    if number % BUILT_IN_EVERY == BUILT_IN_FIRST:
        recipe = RECIPES[turn % len(RECIPES)]
        return Voice(f"built-in:{recipe.id}", recipe.mixture, recipe.shift)
    mixture = draw_mixture(rng, HELD_OUT if number == 0 else VOICES)
    return Voice(style_name(mixture), mixture)


class Teaching:
    """Both teachers, and what they say in each shard."""

    def __init__(self, folder: Path) -> None:
        self.front_end = FrontEnd()
        self._kokoro, self._hibari = KokoroTeacher(folder), HibariTeacher(folder)

    def make(self, number: int) -> Shard:
        """Make a shard: even numbers by Kokoro, odd ones by hibari; always the same for a number."""
        rng, shard = random.Random(number), Shard()
        count = HIBARI_PASSAGES if number % 2 else KOKORO_PASSAGES
        texts = iter(Passages(number))
        while len(shard) < count:
            # Several passages per speaker: one serves as the reference of another.
            if len(shard) % PASSAGES_OF_ONE == 0:
                voice = draw_voice(number, len(shard) // PASSAGES_OF_ONE, rng)
            text = next(texts)
            said = self.front_end(text)
            ids = self.front_end.ids(said.phones)
            if not 4 <= ids.shape[1] <= MAX_TOKENS:
                continue
            speed = draw_speed(rng) * (voice.shift or 1.0)
            speech = self._speak(ids, voice, speed, rng)
            notes = {"text": text, "style": voice.style, "speed": speed, "shift": voice.shift}
            shard.add(speech, notes | {"phones": said.phones, "words": said.words})
        return shard

    def _speak(self, ids: np.ndarray, voice: Voice, speed: float, rng: random.Random) -> TeacherSpeech:
        if not voice.mixture:
            return self._hibari.speak(ids, speed, rng.randrange(1 << 30))
        return self._kokoro.speak(ids, voice.mixture, speed)


def hours_of(folder: Path) -> float:
    """Return the hours of speech in a folder's shards, from their file sizes."""
    return sum(path.stat().st_size for path in folder.glob("[0-9]*.npz")) / 2 / 24_000 / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work")
    parser.add_argument("--hours", type=float, default=40.0, help="of speech, then stop")
    options = parser.parse_args()
    folder = options.work / "natural"
    folder.mkdir(parents=True, exist_ok=True)
    teaching, number = Teaching(options.work / "teachers"), 0
    while hours_of(folder) < options.hours:
        path = folder / f"{number:04d}.npz"
        if not path.exists():
            shard = teaching.make(number)
            shard.save(path)
            print(f"{path.name} {shard.seconds / 60:.1f} min, {hours_of(folder):.2f} h in all", flush=True)
        number += 1


if __name__ == "__main__":
    main()
