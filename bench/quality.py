"""How well a model speaks: words, pitch, timbre and endings, over sentences and voices it was not trained on.

    python -m bench.quality [--model models/higgs-small] [--sentences 60] [--voices ../shared/voices]

Teachers' references are flite's voices warped into pseudo-speakers; --voices names a folder of recordings
(with transcripts beside them) of people. One line of JSON comes last.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

from asr.words import words_of, wrong_words
from audio.encode import encode_audio
from bench.listening import envelope_distance, words_heard
from higgs.codecs.base import SAMPLE_RATE, decode
from higgs.codecs.vocoder.analysis import analyse
from higgs.codecs.vocoder.synthesis import synthesise
from settings import load_settings
from synthesis.planner import SpeechOptions, VoiceReference
from train.speech import VOICES, pack, speak
from train.voices import Warp, draw_warp, warp
from voice_cloning import VoiceCloner

SENTENCES = Path(__file__).with_name("sentences.txt").read_text().splitlines()
REFERENCE_TEXTS = (
    "Yesterday we visited the market and bought some fresh fruit for dinner.",
    "A good friend of mine has lived in this street for more than ten years.",
    "Reading a book by the fire is the best way to spend a winter evening.",
    "The first snow of the year fell on the hills during the night.",
)
SPEAKERS, SEED = 12, 20_260
SEMITONES = 12 / np.log(2)


@dataclass
class Voice:
    """A reference: its samples at 24 kHz, its words, and the warp that makes a teacher speak in it, if
    any."""

    name: str
    samples: np.ndarray
    transcript: str
    teacher: Warp | None = None


def pseudo_speakers() -> list[Voice]:
    """Held-out pseudo-speakers of the teachers' three statistical voices."""
    rng = np.random.default_rng(SEED)
    found = []
    for number in range(SPEAKERS):
        by = draw_warp(number % 3, rng)
        text = REFERENCE_TEXTS[number % len(REFERENCE_TEXTS)]
        found.append(Voice(f"pseudo-{number}", taught(text, by), text, by))
    return found


def taught(text: str, by: Warp) -> np.ndarray:
    """The teacher's rendering of a text in a pseudo-speaker's voice."""
    samples, _ = speak(text, VOICES[by.voice])
    return synthesise(warp(pack(samples), by))


def people(folder: Path) -> list[Voice]:
    """Recordings of a folder, each with its .txt beside it."""
    found = []
    for path in sorted(folder.glob("*.wav")):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        samples = soxr.resample(samples.mean(1), rate, SAMPLE_RATE)
        found.append(Voice(path.stem, samples, path.with_suffix(".txt").read_text().strip()))
    return found


def pitch_of(samples: np.ndarray) -> float:
    features = analyse(samples)
    return float(np.median(features.log_f0[features.voiced > 0.5])) if features.voiced.any() else 0.0


def rate(wrong: list[tuple[int, int]]) -> float:
    """Word error rate of (wrong, said) pairs."""
    return round(sum(w for w, _ in wrong) / max(1, sum(n for _, n in wrong)), 4)


def heard(text: str, samples: np.ndarray) -> tuple[int, int]:
    return wrong_words(words_of(text), words_heard(samples)), len(words_of(text))


def measure(
    cloner: VoiceCloner, voices: list[Voice], sentences: list[str], temperature: float | None
) -> dict:
    """Speak each sentence in one voice of the list, round robin, with and without transcript in turn."""
    references = [reference_of(cloner, voice, with_words) for voice in voices for with_words in (True, False)]
    tally: dict[str, list] = {
        name: [] for name in ("words", "teacher", "codec", "pitch", "own", "stop", "rtf")
    }
    for number, text in enumerate(sentences):
        voice, other = voices[number % len(voices)], voices[(number + 1) % len(voices)]
        reference = references[2 * (number % len(voices)) + (number // len(voices)) % 2]
        begun = time.perf_counter()
        speech = cloner.speak(text, reference, SpeechOptions(seed=number, temperature=temperature))
        seconds = len(speech.samples) / SAMPLE_RATE
        tally["rtf"].append((time.perf_counter() - begun) / max(seconds, 0.1))
        tally["words"].append(heard(text, speech.samples))
        expected = 0.4 + 0.065 * len(text)
        tally["stop"].append(speech.finish_reason == "stop" and 0.5 < seconds / expected < 2.0)
        tally["pitch"].append(abs(pitch_of(speech.samples) - pitch_of(voice.samples)) * SEMITONES)
        own, others = (envelope_distance(speech.samples, v.samples) for v in (voice, other))
        tally["own"].append(own < others)
        if voice.teacher:
            original = taught(text, voice.teacher)
            tally["teacher"].append(heard(text, original))
            tally["codec"].append(heard(text, coded(cloner, original)))
        print(
            f"{voice.name:10} {tally['words'][-1][0]}/{tally['words'][-1][1]} {seconds:5.2f} s  {text}",
            flush=True,
        )
    return summary(tally)


def reference_of(cloner: VoiceCloner, voice: Voice, with_words: bool) -> VoiceReference:
    recording = encode_audio(voice.samples, "wav").data
    return cloner.reference(recording, voice.transcript if with_words else None)


def coded(cloner: VoiceCloner, samples: np.ndarray) -> np.ndarray:
    """What the codec alone leaves of a recording."""
    return decode(cloner.codec, cloner.reference(encode_audio(samples, "wav").data).codes)


def summary(tally: dict[str, list]) -> dict:
    pitch = np.array(tally["pitch"])
    return {
        "wer": rate(tally["words"]),
        "wer_teacher": rate(tally["teacher"]) if tally["teacher"] else None,
        "wer_codec": rate(tally["codec"]) if tally["codec"] else None,
        "pitch_within_2": round(float((pitch <= 2).mean()), 3),
        "pitch_within_3": round(float((pitch <= 3).mean()), 3),
        "nearer_to_own": round(float(np.mean(tally["own"])), 3),
        "stops": round(float(np.mean(tally["stop"])), 3),
        "rtf": round(float(np.median(tally["rtf"])), 3),
    }


def plain_teachers(sentences: list[str]) -> float:
    """Word error rate of the teachers as they are."""
    spoken = [(text, speak(text, VOICES[number % 3])[0]) for number, text in enumerate(sentences)]
    return rate([heard(text, samples) for text, samples in spoken])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="models/higgs-small")
    parser.add_argument("--sentences", type=int, default=len(SENTENCES))
    parser.add_argument("--voices", type=Path, default=Path("../shared/voices"))
    parser.add_argument("--temperature", type=float)
    options = parser.parse_args()
    torch.set_num_threads(2)
    sentences = SENTENCES[: options.sentences]
    cloner = VoiceCloner.load(load_settings(["--model", options.model]))
    result = {"model": options.model, "sentences": len(sentences)}
    result["pseudo_speakers"] = measure(cloner, pseudo_speakers(), sentences, options.temperature)
    result["pseudo_speakers"]["wer_teacher_unwarped"] = plain_teachers(sentences)
    if options.voices.is_dir():
        result["people"] = measure(cloner, people(options.voices), sentences, options.temperature)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
