"""How near the times of words are to the truth: on ten clips of the bundled model, and on teachers' speech.

    python -m bench.word_times [--clips FOLDER] [--teachers SHARD.npz]

The ten clips are spoken anew, and their word times compared with bench/word_times.tsv: clip, word, start, end
in seconds, as the recogniser aligned them, corrected by eye on spectrograms. A clip is known by a hash: with
other weights the truths are of other audio, and the recogniser's alignment of the new one takes their place.
--clips writes the clips as WAV, with spectrograms and their words, for the eye.
--teachers measures the recogniser's alignment against the exact durations of a shard that train.teach made.
Ends in one line of JSON.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from api.word_times import words_of
from asr.sphinx import Sphinx
from asr.transcriber import Transcriber
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from bench.spectrogram import spectrogram
from higgs.spoken import Speech
from settings import Settings
from synthesis.options import SpeechOptions
from synthesis.word_times import Span, WordTimes
from train.natural import Passage, load_passages
from voice_cloning import VoiceCloner

TRUTHS = Path(__file__).with_suffix(".tsv")
CLIPS = (
    ("hugo", "Good morning, how did you sleep?"),
    ("clara", "Your train leaves at 9:45 from platform 12."),
    ("arthur", "The old lighthouse had been dark for thirty years."),
    ("nora", "After three days of rain the river has fallen again."),
    ("bruno", "It costs $5.50, and the journey takes 3 hours."),
    ("edith", "Please call Mr. Smith on 25 Dec 2024."),
    ("hugo", "Nobody in the village could say who had lit the lamp."),
    ("clara", "Is this **really** the way to London? I doubt it."),
    ("arthur", "We sold 10 km of cable, e.g. to the FBI."),
    ("nora", "She sells sea shells by the shore."),
)
GOAL_SECONDS = 0.08
TEACHERS_UNIT = 0.025  # seconds
MAX_PASSAGES = 10


def spoken(cloner: VoiceCloner) -> list[Speech]:
    return [
        cloner.speak(text, cloner.built_in(voice), SpeechOptions(seed=number))
        for number, (voice, text) in enumerate(CLIPS)
    ]


def digest(speech: Speech) -> str:
    """What tells one audio from another, the last bits of its samples left out."""
    return hashlib.sha256((speech.samples * 2**12).round().astype("<i2").tobytes()).hexdigest()[:12]


def truths(path: Path) -> dict[str, list[tuple[str, float, float]]]:
    """The words of each clip, by the hash of its audio."""
    found: dict[str, list[tuple[str, float, float]]] = {}
    for line in path.read_text("utf-8").splitlines()[1:]:
        clip, word, start, end = line.split("\t")
        found.setdefault(clip, []).append((word, float(start), float(end)))
    return found


def by_recogniser(text: str, speech: Speech, transcriber: Transcriber) -> list[tuple[str, float, float]]:
    """The words of a clip as the recogniser aligns them."""

    def align(samples: np.ndarray, words: Sequence[str]) -> Sequence[Span | None]:
        return transcriber.align(samples, SAMPLE_RATE, words)

    times = WordTimes(text, speech.texts, None, align)
    times.push(speech.as_spoken)
    found = times.rest(speech.texts, len(speech.samples) / SAMPLE_RATE)
    return [(word.word, word.start, word.end) for word in found]


def summary(deviations: Iterable[tuple[float, float]]) -> dict[str, float]:
    """Of starts and ends that are late, or early, by so many seconds."""
    errors = np.abs(np.array(list(deviations)))
    both = errors.max(axis=1)
    return {
        "words": len(errors),
        "within_80_ms": round(float((both <= GOAL_SECONDS).mean()), 3),
        "start_median_ms": round(1000 * float(np.median(errors[:, 0])), 1),
        "end_median_ms": round(1000 * float(np.median(errors[:, 1])), 1),
        "p90_ms": round(1000 * float(np.quantile(both, 0.9)), 1),
    }


def measure_clips(folder: Path | None) -> dict[str, object]:
    """Word times of the bundled model against the truths."""
    cloner, transcriber = VoiceCloner.load(Settings(model="bundled", device="cpu")), Transcriber(Sphinx)
    known = truths(TRUTHS) if TRUTHS.exists() else {}
    deviations, same = [], True
    try:
        for (_, text), speech in zip(CLIPS, spoken(cloner), strict=True):
            found = words_of(text, speech, cloner.codec, transcriber)
            clip = digest(speech)
            same = same and clip in known
            true = known.get(clip) or by_recogniser(text, speech, transcriber)
            print(f"{clip}  {text}{'' if clip in known else '  (aligned by the recogniser)'}")
            for word, (name, start, end) in zip(found, true, strict=True):
                deviations.append((word.start - start, word.end - end))
                late = " ".join(f"{1000 * each:+5.0f}" for each in deviations[-1])
                print(f"  {name:12} {start:6.2f} {end:6.2f}   off by {late} ms")
            if folder:
                write_clip(folder, clip, speech, true)
    finally:
        cloner.close()
        transcriber.close()
    return {"same_audio": same, **summary(deviations)}


def write_clip(folder: Path, clip: str, speech: Speech, words: list[tuple[str, float, float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{clip}.wav").write_bytes(encode_audio(speech.samples, "wav").data)
    (folder / f"{clip}.png").write_bytes(
        spectrogram(speech.samples, [time for _, *times in words for time in times])
    )
    lines = [f"{clip}\t{word}\t{start:.3f}\t{end:.3f}" for word, start, end in words]
    (folder / f"{clip}.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def measure_teachers(shard: Path) -> dict[str, float]:
    """The recogniser's alignment against exact durations."""
    transcriber, deviations = Transcriber(Sphinx), []
    try:
        for passage in load_passages(shard)[:MAX_PASSAGES]:
            true = words_true(passage)
            samples = passage.samples.astype(np.float32) / 32_768
            found = transcriber.align(samples, SAMPLE_RATE, [word for word, _, _ in true])
            spans = [span or (np.inf, np.inf) for span in found]
            deviations += [(s - a, e - b) for (s, e), (_, a, b) in zip(spans, true, strict=True)]
    finally:
        transcriber.close()
    return summary(deviations)


def words_true(passage: Passage) -> list[tuple[str, float, float]]:
    """The words of a passage and their exact times."""
    ends = np.cumsum(passage.durations) * TEACHERS_UNIT  # of the pad, each phone, the pad
    found, phone = [], 0
    for word, phones, space in passage.words:
        if any(letter.isalnum() for letter in word):
            name = "".join(letter for letter in word if letter.isalnum() or letter == "'")
            found.append((name, float(ends[phone]), float(ends[phone + len(phones)])))
        phone += len(phones) + len(space)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, help="folder to write the clips and their pictures to")
    parser.add_argument("--teachers", type=Path, help="a shard of train.teach, to measure the recogniser on")
    arguments = parser.parse_args()
    found = measure_teachers(arguments.teachers) if arguments.teachers else measure_clips(arguments.clips)
    print(json.dumps({"word_times": found}))


if __name__ == "__main__":
    main()
