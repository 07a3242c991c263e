"""The neural teachers' speech as train.teach wrote it; see train.teach.Shard."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Passage:
    """One spoken passage.

    samples: int16 at 24 kHz. phones: in Kokoro's alphabet; durations (len(phones) + 2,): units of 600
    samples, of the pad before, each phone, and the pad behind. words: (text, phones, space behind) each.
    style: voice or mixture, "hibari:" before it where hibari spoke, or "built-in:" and the id of a built-in
    voice. shift: of a built-in voice, the factor at which it is played; None for others.
    """

    text: str
    style: str
    speed: float
    phones: str
    words: list[tuple[str, str, str]]
    durations: np.ndarray
    samples: np.ndarray
    shift: float | None = None


def load_passages(path: Path) -> list[Passage]:
    """The passages of one shard."""
    with np.load(path) as shard:
        samples, durations, notes = shard["samples"], shard["durations"], json.loads(str(shard["notes"]))
    found, at, first = [], 0, 0
    for note in notes:
        units = durations[first : first + len(note["phones"]) + 2]
        first += len(units)
        count = int(units.sum()) * 600
        words = [(word, phones, space) for word, phones, space in note["words"]]
        known = (note["text"], note["style"], note["speed"], note["phones"])
        found.append(Passage(*known, words, units, samples[at : at + count], note.get("shift")))
        at += count
    if at != len(samples) or first != len(durations):
        raise ValueError(f"{path}: durations don't add up to the samples.")
    return found
