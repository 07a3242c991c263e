"""The voices of bench.quality: recordings of people, pseudo-speakers, the model's own."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audio.frames import SAMPLE_RATE

# Resampling moves who speaks: a clip played at these speeds is another speaker's (bundled-voice.md).
SHIFTS = (1.0, 0.87, 1.15)
GAP = np.zeros(int(0.25 * SAMPLE_RATE), np.float32)


@dataclass(frozen=True)
class Clip:
    """samples: float32 at 24 kHz; transcript: its words, None if unknown."""

    samples: np.ndarray
    transcript: str | None

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class Voice:
    """name; clips: its recordings, the first one for cloning; none for the model's own voice."""

    name: str
    clips: tuple[Clip, ...] = ()


def read_clip(path: Path) -> Clip:
    """Read a recording, and its transcript if there is a .txt file."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    words = path.with_suffix(".txt")
    transcript = words.read_text().strip() if words.exists() else None
    return Clip(soxr.resample(samples.mean(1), rate, SAMPLE_RATE), transcript)


def people(folder: Path) -> list[Voice]:
    """Return one voice per recording of a folder; none without a folder."""
    return [Voice(path.stem, (read_clip(path),)) for path in sorted(folder.glob("*.wav"))]


def pseudo_speakers(folder: Path, count: int) -> list[Voice]:
    """Return voices of FOLDER/NAME/*.wav, each at three resampling speeds; see train.held_out."""
    found = []
    for place in sorted(path for path in folder.glob("*") if path.is_dir()):
        clips = [read_clip(path) for path in sorted(place.glob("*.wav"))]
        for shift in SHIFTS:
            moved = [Clip(soxr.resample(c.samples, shift, 1.0), c.transcript) for c in clips]
            found.append(Voice(f"{place.name}@{shift}", tuple(moved)))
    # Neighbours in the list are different speakers at different speeds.
    return [voice for start in range(len(SHIFTS)) for voice in found[start :: len(SHIFTS)]][:count]


def of_length(voice: Voice, seconds: float) -> Clip | None:
    """A reference of about so many seconds out of whole clips, with its words; None where they don't give
    one within a fifth."""
    clips = [clip for clip in voice.clips if clip.seconds <= 1.2 * seconds][:12]
    for count in range(1, 7):
        for chosen in combinations(clips, count):
            total = sum(clip.seconds for clip in chosen)
            if abs(total - seconds) <= 0.2 * seconds and all(clip.transcript for clip in chosen):
                parts = [part for clip in chosen for part in (clip.samples, GAP)][:-1]
                return Clip(np.concatenate(parts), " ".join(str(clip.transcript) for clip in chosen))
    return None
