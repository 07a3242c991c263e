"""How well a model speaks: words, naturalness, similarity, pitch and endings, in unseen voices and texts.

    make judges && python -m bench.quality [--sets people pseudo builtin several lengths] [--sentences 60]

Speaks into --out, then judges those files: Whisper tiny.en and DNSMOS in their own environment
(bench/judges.py), the speaker encoder here. An interrupted run continues: nothing is spoken or judged twice.
Ends in one line of JSON.

people: clones of the recordings in --voices. pseudo: clones of the speakers in --held-out, each at three
speeds. builtin: the model's own voices. several: texts of several sentences, in all of these voices. lengths:
pseudo-speakers with references of 3, 6, 10, 20 and 30 s, with and without transcript.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile
import torch

from asr.words import words_of, wrong_words
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from bench.quality_voices import Clip, Voice, of_length, people, pseudo_speakers
from higgs.codecs.vocoder.analysis import analyse
from settings import load_settings
from speakers.encoder import weights_file
from speakers.verifier import SpeakerVerifier
from synthesis.options import SpeechOptions
from text.english import english_words
from voice_cloning import VoiceCloner

ROOT = Path(__file__).resolve().parent.parent
SENTENCES, PASSAGES = (
    (ROOT / "bench" / name).read_text().splitlines() for name in ("sentences.txt", "passages.txt")
)
SETS = ("people", "pseudo", "builtin", "several", "lengths")
LENGTHS = (3, 6, 10, 20, 30)
GALLERY = 10
SEMITONES = 12 / np.log(2)
CLIPS = "clips.jsonl"


@dataclass(frozen=True)
class Task:
    """A text to speak: its set, voice, and reference (None: the model's own voice)."""

    group: str
    voice: Voice
    text: str
    reference: Clip | None
    with_words: bool
    seed: int


def in_turn(group: str, voices: list[Voice], texts: list[str]) -> Iterator[Task]:
    """Return each text in one of the voices, alternating with and without transcript."""
    for number, (text, voice) in enumerate(zip(texts, cycle(voices), strict=False)):
        reference = voice.clips[0] if voice.clips else None
        yield Task(group, voice, text, reference, (number // len(voices)) % 2 == 0, number)


def of_lengths(voices: list[Voice], texts: list[str]) -> Iterator[Task]:
    """Return, for each length, with and without transcript, all texts in voices with enough speech."""
    for seconds in LENGTHS:
        found = [(voice, clip) for voice in voices if (clip := of_length(voice, seconds))]
        for with_words in (True, False):
            group = f"{seconds} s {'with' if with_words else 'without'} words"
            for number, (text, (voice, clip)) in enumerate(zip(texts, cycle(found), strict=False)):
                yield Task(group, voice, text, clip, with_words, number)


def planned(sets: list[str], count: int, voices: dict[str, list[Voice]]) -> list[Task]:
    """Return the tasks of the sets, `count` sentences each; sets without voices are left out."""
    tasks: list[Task] = []
    for group in ("people", "pseudo", "builtin"):
        if group in sets and voices[group]:
            tasks += in_turn(group, voices[group], SENTENCES[:count])
    together = [voice for group in ("people", "pseudo", "builtin") for voice in voices[group]]
    if "several" in sets:
        tasks += in_turn("several", together, PASSAGES[: max(1, count // 3)])
    if "lengths" in sets and voices["pseudo"]:
        tasks += of_lengths(voices["pseudo"], SENTENCES[: max(2, count // 5)])
    return tasks


def speak(cloner: VoiceCloner, tasks: list[Task], out: Path) -> None:
    """Speak missing texts into NNNN.wav files, with a line of clips.jsonl for each."""
    done = {line["file"] for line in rows(out / CLIPS)}
    with (out / CLIPS).open("a") as lines:
        for number, task in enumerate(tasks):
            name = f"{number:04d}.wav"
            if name in done:
                continue
            reference = cloner.built_in(task.voice.name)
            if task.reference is not None:
                recording = encode_audio(task.reference.samples, "wav").data
                words = task.reference.transcript if task.with_words else None
                reference = cloner.reference(recording, words)
            begun = time.perf_counter()
            speech = cloner.speak(task.text, reference, SpeechOptions(seed=task.seed))
            spent, seconds = time.perf_counter() - begun, len(speech.samples) / SAMPLE_RATE
            soundfile.write(out / name, speech.samples, SAMPLE_RATE)
            row: dict[str, str | float] = {
                "file": name,
                "group": task.group,
                "voice": task.voice.name,
                "text": task.text,
            }
            row |= {
                "stop": speech.finish_reason == "stop",
                "seconds": seconds,
                "rtf": spent / max(seconds, 0.1),
            }
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            print(f"{name} {task.group:10} {task.voice.name:16} {seconds:5.2f} s  {task.text}", flush=True)


def rows(path: Path) -> list[dict]:
    """Read a .jsonl file; empty if there is none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def judge(python: Path, out: Path, pocketsphinx: bool) -> dict[str, dict]:
    """Return the judges' verdicts by file."""
    if not python.exists():
        raise SystemExit(f"There is no {python}: run `make judges`, or name another with --judges.")
    command = [str(python), "-m", "bench.judges", str(out), *(["--pocketsphinx"] if pocketsphinx else [])]
    subprocess.run(command, check=True, cwd=ROOT)
    return {row["file"]: row for row in rows(out / "verdicts.jsonl")}


class Resemblance:
    """Finds which voice's reference an answer is most similar to."""

    def __init__(self, voices: list[Voice]) -> None:
        self._verifier = SpeakerVerifier(weights_file())
        cloned = [voice for voice in voices if voice.clips]
        self.references = {voice.name: self._print(voice.clips[0].samples) for voice in cloned}
        self.levels = {voice.name: pitch_level(voice.clips[0].samples) for voice in cloned}

    def _print(self, samples: np.ndarray) -> np.ndarray:
        return self._verifier.embedding(samples, SAMPLE_RATE)

    def of(self, samples: np.ndarray, name: str) -> dict[str, float]:
        """Similarity to the own reference, whether that is the nearest of ten, semitones of pitch off."""
        found = self._print(samples)
        others = [other for other in self.references if other != name][: GALLERY - 1]
        own = float(found @ self.references[name])
        nearest = all(own >= float(found @ self.references[other]) for other in others)
        return {
            "similarity": own,
            "nearest": nearest,
            "pitch_off": abs(pitch_level(samples) - self.levels[name]) * SEMITONES,
        }


def pitch_level(samples: np.ndarray) -> float:
    """Return the median of ln f0; 0 if nothing is voiced."""
    features = analyse(samples)
    return float(np.median(features.log_f0[features.voiced > 0.5])) if features.voiced.any() else 0.0


def summary(clips: list[dict], verdicts: dict[str, dict]) -> dict[str, float | int]:
    """Return the results of one set."""
    wrong = [wrong_words(spelled(c["text"]), spelled(verdicts[c["file"]]["whisper"])) for c in clips]
    said = [len(spelled(c["text"])) for c in clips]
    found: dict[str, float | int] = {"clips": len(clips), "wer": sum(wrong) / max(1, sum(said))}
    if all("pocketsphinx" in verdicts[c["file"]] for c in clips):
        heard = [words_of(verdicts[c["file"]]["pocketsphinx"]) for c in clips]
        sphinx = [wrong_words(words_of(c["text"]), words) for c, words in zip(clips, heard, strict=True)]
        found["wer_pocketsphinx"] = sum(sphinx) / max(1, sum(said))
    # Whole sentences lost show as clips of which half the words are wrong.
    found["lost"] = sum(w > 0.5 * s for w, s in zip(wrong, said, strict=True))
    found["ovrl"] = float(np.mean([verdicts[c["file"]]["ovrl"] for c in clips]))
    cloned = [c for c in clips if "similarity" in c]
    if cloned:
        found["similarity"] = float(np.mean([c["similarity"] for c in cloned]))
        found["nearest_of_ten"] = float(np.mean([c["nearest"] for c in cloned]))
        found["pitch_within_2"] = float(np.mean([c["pitch_off"] <= 2 for c in cloned]))
    expected = [0.4 + 0.065 * len(c["text"]) for c in clips]
    ends = [c["stop"] and 0.5 < c["seconds"] / e < 2 for c, e in zip(clips, expected, strict=True)]
    found["ends"] = float(np.mean(ends))
    found["rtf"] = float(np.median([c["rtf"] for c in clips]))
    return {name: value if isinstance(value, int) else round(value, 3) for name, value in found.items()}


def spelled(text: str) -> list[str]:
    """Return words with numbers spelled out: Whisper writes digits."""
    return words_of(english_words(text))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="models/higgs-small")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--sentences", type=int, default=len(SENTENCES), help="of each set")
    parser.add_argument("--voices", type=Path, default=ROOT.parent / "shared" / "voices")
    parser.add_argument("--held-out", type=Path, default=ROOT / "train" / "work" / "held_out")
    parser.add_argument("--out", type=Path, help="folder to speak into; a new one where not given")
    parser.add_argument("--judges", type=Path, default=ROOT / ".judges-venv" / "bin" / "python")
    parser.add_argument("--pocketsphinx", action="store_true", help="also transcribe with it, which is slow")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    out = options.out or Path(tempfile.mkdtemp(prefix="quality-"))
    out.mkdir(parents=True, exist_ok=True)
    cloner = VoiceCloner.load(load_settings(["--model", options.model]))
    voices = {
        "people": people(options.voices),
        "pseudo": pseudo_speakers(options.held_out, 12),
        "builtin": [Voice(v.id) for v in cloner.built_in_voices.voices] or [Voice("default")],
    }
    tasks = planned(list(options.sets), options.sentences, voices)
    speak(cloner, tasks, out)
    verdicts = judge(options.judges, out, options.pocketsphinx)
    resemblance = Resemblance([voice for group in voices.values() for voice in group])
    clips = list(islice(rows(out / CLIPS), len(tasks)))
    for clip in clips:
        if clip["voice"] in resemblance.references:
            samples = soundfile.read(out / clip["file"], dtype="float32")[0]
            clip |= resemblance.of(samples, clip["voice"]) if len(samples) else {"similarity": 0.0}
    groups = {task.group: [clip for clip in clips if clip["group"] == task.group] for task in tasks}
    result = {group: summary(found, verdicts) for group, found in groups.items()}
    print(json.dumps({"model": options.model, "out": str(out), **result}))


if __name__ == "__main__":
    main()
