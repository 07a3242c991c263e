"""How long a reference a model follows: words and likeness of its speech by the length of what it was given.

    python -m bench.reference_length [--model bundled] [--lengths 4 6 8 10 12 14 16 20 28] [--sentences 12]

References are flite's voices reading bench/sentences.txt, and the recordings of --voices said twice and more
often. The longest reference of a model is what its config.json names as `reference_seconds`; here it is left
out, so that the codes of the whole stretch are given. One line of JSON comes last.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from audio.frames import SAMPLE_RATE
from bench.quality import SENTENCES, heard, people, rate
from settings import load_settings
from speakers.encoder import weights_file
from speakers.verifier import SpeakerVerifier
from synthesis.planner import SpeechOptions, VoiceReference
from train.speech import speak
from voice_cloning import VoiceCloner

TEACHERS = ("rms", "slt")
READ = SENTENCES[30:]  # what references say; the others are what is spoken in their voices
PAUSE = np.zeros(int(0.3 * SAMPLE_RATE), np.float32)


def readings(folder: Path, longest: float) -> dict[str, np.ndarray]:
    """Voices, each as one recording of at least so many seconds."""
    found = {name: joined([speak(text, name)[0] for text in READ], longest) for name in TEACHERS}
    if folder.is_dir():
        found |= {voice.name: joined([voice.samples], longest) for voice in people(folder)}
    return found


def joined(takes: list[np.ndarray], seconds: float) -> np.ndarray:
    """Recordings one after the other, from the first again where they are too short."""
    pieces: list[np.ndarray] = []
    while sum(map(len, pieces)) < seconds * SAMPLE_RATE:
        pieces += [takes[len(pieces) // 2 % len(takes)], PAUSE]
    return np.concatenate(pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--lengths", type=float, nargs="+", default=[4, 6, 8, 10, 12, 14, 16, 20, 28])
    parser.add_argument("--sentences", type=int, default=12)
    parser.add_argument("--voices", type=Path, default=Path("../shared/voices"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    cloner, judge = (
        VoiceCloner.load(load_settings(["--model", options.model])),
        SpeakerVerifier(weights_file()),
    )
    result: dict[str, dict[str, list[float]]] = {}
    for name, recording in readings(options.voices, max(options.lengths)).items():
        for seconds in options.lengths:
            given = recording[: int(seconds * SAMPLE_RATE)]
            voice = VoiceReference.of_codes(cloner.codec.encode(given))
            wrong, alike = [], []
            for number, text in enumerate(SENTENCES[: options.sentences]):
                spoken = cloner.speak(text, voice, SpeechOptions(seed=number)).samples
                wrong.append(heard(text, spoken))
                alike.append(judge.similarity(given, spoken, SAMPLE_RATE))
            row = [rate(wrong), round(float(np.mean(alike)), 3)]
            result.setdefault(name, {})[f"{seconds:g}"] = row
            print(f"{name:10} {seconds:5.1f} s  words {row[0]:.3f}  similarity {row[1]:.3f}", flush=True)
    print(json.dumps({"model": options.model, "sentences": options.sentences, "by_seconds": result}))


if __name__ == "__main__":
    main()
