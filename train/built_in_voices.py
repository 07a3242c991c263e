"""Let the teachers speak the recordings of the built-in voices, and write their table.

    train/work/venv/bin/python -m train.built_in_voices --work train/work --out models/higgs-small/voices

Each is a mixture of Kokoro's voices, resampled by `shift` where that is not 1: lower voices are understood
better by the model that ships (train/LOG.md).
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import soundfile
import soxr

from train.teachers import FrontEnd, KokoroTeacher

SAMPLE_RATE = 24_000
TEXT = "The morning was clear and calm, so we took the long way home. Nobody was in a hurry."
SPEED = 0.95


@dataclass(frozen=True)
class Recipe:
    """mixture: shares of Kokoro's voices; shift: how much lower it is played; answers_to: OpenAI's names."""

    id: str
    description: str
    mixture: dict[str, float]
    shift: float
    answers_to: tuple[str, ...]


DEFAULT = "hugo"
RECIPES = (
    Recipe("hugo", "a man, calm and clear", {"am_michael": 1.0}, 1.0, ("ash", "cedar")),
    Recipe("milo", "a man, lively", {"am_puck": 0.5, "am_michael": 0.5}, 1.0, ("echo", "verse")),
    Recipe("arthur", "a man, deep", {"am_fenrir": 0.5, "bm_george": 0.5}, 1.0, ("onyx", "ballad", "fable")),
    Recipe("clara", "a woman, warm", {"af_sarah": 0.5, "af_aoede": 0.5}, 1.0, ("alloy", "coral", "nova")),
    Recipe(
        "edith", "a woman, composed", {"bf_isabella": 0.5, "af_heart": 0.5}, 1.0, ("marin", "sage", "shimmer")
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    teacher, front_end = KokoroTeacher(options.work / "teachers"), FrontEnd()
    ids = front_end.ids(front_end(TEXT).phones)
    rows = []
    for recipe in RECIPES:
        speech = teacher.speak(ids, recipe.mixture, SPEED * recipe.shift)
        samples = soxr.resample(speech.samples, recipe.shift, 1.0)
        soundfile.write(options.out / f"{recipe.id}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
        row = {"id": recipe.id, "description": recipe.description, "file": f"{recipe.id}.flac"}
        rows.append(row | {"transcript": TEXT, "answers_to": recipe.answers_to})
    table = {"default": DEFAULT, "voices": rows}
    (options.out / "voices.json").write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
