"""Sentences → a teacher's speech → features on disk.

The teacher is flite: three statistical voices and one of diphones, 16 kHz. It gives each phone's end time,
which guides the language model's training. A shard is one .npz file of about a thousand utterances.
"""

import json
import math
import multiprocessing
import random
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from audio.frames import SAMPLE_RATE
from higgs.codecs.vocoder.analysis import STEP, STEPS_PER_FRAME, analyse
from train.letters import letter_of_each_phone

SHARES = (0.33, 0.31, 0.26, 0.10)
LEAD_SECONDS, TAIL_SECONDS = 0.08, 0.16
SHARD = 1000
ODD = 128
PHONES = [
    "pau",
    "aa",
    "ae",
    "ah",
    "ao",
    "aw",
    "ax",
    "axr",
    "ay",
    "b",
    "ch",
    "d",
    "dh",
    "dx",
    "eh",
    "el",
    "em",
    "en",
    "er",
    "ey",
    "f",
    "g",
    "hh",
    "hv",
    "ih",
    "iy",
    "jh",
    "k",
    "l",
    "m",
    "n",
    "nx",
    "ng",
    "ow",
    "oy",
    "p",
    "r",
    "s",
    "sh",
    "t",
    "th",
    "uh",
    "uw",
    "v",
    "w",
    "y",
    "z",
    "zh",
]


@dataclass(frozen=True)
class Teacher:
    """A voice that teaches.

    Attributes:
        name: the voice's name.
        level: mean pitch in ln Hz.
        spread: standard deviation of ln pitch.
        natural: whether it sounds natural, so that pseudo-speakers near it do, too.
        shift: of a built-in voice, the factor of pitch and formants at which it is played; None for others.
    """

    name: str
    level: float
    spread: float
    natural: bool = False
    shift: float | None = None


FLITE = (
    Teacher("slt", math.log(172.0), 0.074),
    Teacher("rms", math.log(100.0), 0.144),
    Teacher("awb", math.log(125.0), 0.12),
    Teacher("kal16", math.log(93.0), 0.2),
)


@dataclass(frozen=True, eq=False)
class Utterance:
    """A spoken text.

    Attributes:
        text: the text.
        teacher: who speaks.
        features: (F, 70) float16; see `pack`.
        phones: (F,), the phone of each step of 10 ms: its index, plus ODD for every other, so that equal ones
            in a row can be told apart.
        letters: (N,), the position in the text that each phone is read from, a fraction if it is several.
    """

    text: str
    teacher: Teacher
    features: np.ndarray
    phones: np.ndarray
    letters: np.ndarray

    @property
    def frames(self) -> int:
        return len(self.phones) // STEPS_PER_FRAME


def speak(text: str, voice: str) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """Return samples at 24 kHz of flite speaking the text, and its phones with their end times in seconds."""
    import soundfile  # here: a lent machine that only trains has neither
    import soxr

    with tempfile.NamedTemporaryFile(suffix=".wav", dir="/dev/shm") as file:
        command = ["flite", "-voice", voice, "-psdur", "-t", f" {text}", "-o", file.name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        samples, rate = soundfile.read(file.name, dtype="float32")
    phones = [(name, float(end)) for name, end in (item.split(":") for item in printed.split())]
    return soxr.resample(samples, rate, SAMPLE_RATE), phones


def trimmed(
    samples: np.ndarray, phones: list[tuple[str, float]]
) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """Cut the silence before the first phone and after the last one to a fixed length."""
    first = phones[0][1] if phones[0][0] == "pau" else 0.0
    spoken = [end for name, end in phones if name != "pau"]
    start = max(0.0, first - LEAD_SECONDS)
    stop = min(spoken[-1] + TAIL_SECONDS, len(samples) / SAMPLE_RATE)
    return samples[int(start * SAMPLE_RATE) : int(stop * SAMPLE_RATE)], [
        (n, end - start) for n, end in phones
    ]


def phone_steps(phones: list[tuple[str, float]], steps: int) -> np.ndarray:
    """Return the phone at the centre of each step of 10 ms; see Utterance."""
    ends = np.array([end for _, end in phones])
    at = np.searchsorted(ends, (np.arange(steps) + 0.5) * STEP / SAMPLE_RATE)
    marked = [PHONES.index(name) + ODD * (i % 2) for i, (name, _) in enumerate(phones)]
    return np.array([*marked, 0], np.uint8)[at]


def pack(waveform: np.ndarray) -> np.ndarray:
    """Return a waveform's features as one array (F, 70) float16: log f0, voiced, 4 voicings, 64 bands."""
    found = analyse(waveform)
    columns = (found.log_f0[:, None], found.voiced[:, None], found.voicing, found.envelope)
    return np.concatenate(columns, axis=1).astype(np.float16)


def utterance(job: tuple[str, Teacher]) -> Utterance | None:
    """Speak and analyse one sentence; None if the teacher says nothing usable."""
    text, teacher = job
    samples, phones = speak(text, teacher.name)
    if sum(name != "pau" for name, _ in phones) < 2:
        return None
    samples, phones = trimmed(samples, phones)
    features = pack(samples)
    steps = phone_steps(phones, len(features))
    return Utterance(text, teacher, features, steps, letter_of_each_phone(names_of(steps), text))


def begins_of(steps: np.ndarray) -> np.ndarray:
    """Return the step (N,) at which each phone of an utterance begins."""
    return np.flatnonzero(np.diff(steps, prepend=255))


def names_of(steps: np.ndarray) -> list[str]:
    """Return the phones of an utterance by name."""
    return [PHONES[phone] for phone in steps[begins_of(steps)] % ODD]


def save_shard(path: Path, utterances: list[Utterance]) -> None:
    """Write utterances end to end, with their lengths in steps and in phones; atomically."""
    notes = [{"text": u.text, "teacher": asdict(u.teacher)} for u in utterances]
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        notes=np.array(json.dumps(notes)),
        steps=np.array([len(u.phones) for u in utterances]),
        counts=np.array([len(u.letters) for u in utterances]),
        features=np.concatenate([u.features for u in utterances]),
        phones=np.concatenate([u.phones for u in utterances]),
        letters=np.concatenate([u.letters for u in utterances]),
    )
    partial.replace(path)


def load_shard(path: Path) -> list[Utterance]:
    """Read what `save_shard` wrote."""
    with np.load(path) as shard:
        notes = json.loads(str(shard["notes"]))
        steps, counts = (np.cumsum(shard[name])[:-1] for name in ("steps", "counts"))
        features, phones = (np.split(shard[name], steps) for name in ("features", "phones"))
        letters = np.split(shard["letters"], counts)
    return [
        Utterance(note["text"], Teacher(**note["teacher"]), *parts)
        for note, *parts in zip(notes, features, phones, letters, strict=True)
    ]


def make_shards(sentences: list[str], folder: Path, processes: int = 2, seed: int = 0) -> None:
    """Speak all sentences, each in a random voice, into folder/000.npz …; existing shards are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    jobs = [(text, rng.choices(FLITE, SHARES)[0]) for text in sentences]
    with multiprocessing.Pool(processes) as pool:
        for number, start in enumerate(range(0, len(jobs), SHARD)):
            path = folder / f"{number:03d}.npz"
            if not path.exists():
                spoken = pool.imap(utterance, jobs[start : start + SHARD], chunksize=8)
                save_shard(path, [u for u in spoken if u is not None])
                print(path, flush=True)
