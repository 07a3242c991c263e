"""What the watermark costs, and what it outlives: naturalness, words, CPU, detection, false alarms.

    make judges && python -m bench.watermark [--out FOLDER ...] [--sentences 20] [--recordings FOLDER ...]

Takes clips that bench.quality spoke (--out), or speaks some in the voices of people and the model's own;
marks them, and has both judged by Whisper tiny.en and DNSMOS. The mark is looked for after each of
bench/harms.py: in clips, and in --joined seconds of them. Recordings of --recordings, which
nobody marked, show how high chance goes. Ends in one line of JSON.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from asr.words import wrong_words
from audio.frames import SAMPLE_RATE
from audio.watermark import watermarked
from audio.watermark_detection import AS_SPOKEN, OFFSETS, Window, detect_watermark
from bench.harms import HARMS
from bench.quality import CLIPS, ROOT, judge, planned, rows, speak, spelled
from bench.quality_voices import Voice, people
from settings import load_settings
from voice_cloning import VoiceCloner

VERDICTS = "verdicts.jsonl"
MARKED = "marked"


def spoken(options: argparse.Namespace) -> list[Path]:
    """Speak clips of clones and built-in voices; return their folder."""
    out = Path(tempfile.mkdtemp(prefix="watermark-"))
    cloner = VoiceCloner.load(load_settings(["--model", options.model]))
    builtin = [Voice(voice.id) for voice in cloner.built_in_voices.voices]
    voices = {"people": people(options.voices), "pseudo": [], "builtin": builtin}
    speak(cloner, planned(["people", "builtin"], options.sentences, voices), out)
    return [out]


def read(path: Path) -> np.ndarray:
    """Return a recording as float32 (n,) at 24 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(1), rate, SAMPLE_RATE).astype(np.float32)


def mark(folder: Path, most: int) -> dict[str, float]:
    """Write marked clips into a folder within; return what it cost, in milliseconds of CPU per second."""
    (folder / MARKED).mkdir(exist_ok=True)
    spent = seconds = clipped = 0.0
    for row in rows(folder / CLIPS)[:most]:
        samples = read(folder / row["file"])
        begun = time.process_time()
        marked = np.concatenate(list(watermarked([samples])))
        spent, seconds = spent + time.process_time() - begun, seconds + len(samples) / SAMPLE_RATE
        clipped += float(np.sum(np.abs(marked) > 1))
        soundfile.write(folder / MARKED / row["file"], np.clip(marked, -1, 1), SAMPLE_RATE)
    return {"spent": spent, "seconds": seconds, "clipped": clipped}


def judged(folder: Path, python: Path) -> list[dict[str, float]]:
    """Return for each clip: change of OVRL, wrong words before and after, words."""
    before = judge(python, folder, False)
    after = judge(python, folder / MARKED, False)
    found = []
    for row in rows(folder / CLIPS):
        if row["file"] in after:
            said, pair = spelled(row["text"]), (before[row["file"]], after[row["file"]])
            wrong = [wrong_words(said, spelled(verdict["whisper"])) for verdict in pair]
            change = pair[1]["ovrl"] - pair[0]["ovrl"]
            found.append({"ovrl": change, "before": wrong[0], "after": wrong[1], "words": len(said)})
    return found


def pieces(clips: list[np.ndarray], seconds: float) -> list[np.ndarray]:
    """Return the clips joined to stretches of so many seconds; for 0 as they are."""
    length = round(seconds * SAMPLE_RATE)
    if not length:
        return clips
    joined = np.concatenate(clips)
    return [joined[start : start + length] for start in range(0, len(joined) - length + 1, length)]


def outlived(clips: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """Return for each harm the share of marked clips (unmarked samples are given) in which it is found."""
    marked = [np.concatenate(list(watermarked([samples]))) for samples in clips]
    result = {}
    for name, harm in HARMS.items():
        found = [detect_watermark(harm(samples).astype(np.float32)) for samples in marked]
        scores = [each.score for each in found]
        result[name] = {
            "found": round(float(np.mean([each.found for each in found])), 3),
            "score_median": round(float(np.median(scores)), 1),
            "score_min": round(min(scores), 1),
        }
        print(f"{name:24} {result[name]}", flush=True)
    return result


def chance(recordings: list[np.ndarray]) -> dict[str, float]:
    """Return how high the scores of unmarked recordings go, and how many the bound lets go so high."""
    scores = [
        Window(samples, 0).scores([AS_SPOKEN])[0] for samples in recordings if len(samples) > SAMPLE_RATE // 2
    ]
    highest = max(scores)
    bound = len(scores) * OFFSETS * math.exp(-(highest**2) / 2)
    return {
        "recordings": len(scores),
        "seconds": round(sum(map(len, recordings)) / SAMPLE_RATE),
        "score_max": round(highest, 2),
        "expected_above_at_most": round(bound, 3),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="models/higgs-small")
    parser.add_argument("--out", type=Path, nargs="+", help="folders that bench.quality spoke into")
    parser.add_argument("--sentences", type=int, default=20, help="of each folder")
    parser.add_argument("--joined", type=float, default=6.0, help="seconds")
    parser.add_argument(
        "--recordings", type=Path, nargs="*", default=[], help="folders of WAV files, unmarked"
    )
    parser.add_argument("--voices", type=Path, default=ROOT.parent / "shared" / "voices")
    parser.add_argument("--judges", type=Path, default=ROOT / ".judges-venv" / "bin" / "python")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    folders = options.out or spoken(options)
    costs = [mark(folder, options.sentences) for folder in folders]
    verdicts = [verdict for folder in folders for verdict in judged(folder, options.judges)]
    clips = [
        read(folder / row["file"]) for folder in folders for row in rows(folder / CLIPS)[: options.sentences]
    ]
    recordings = [read(path) for folder in options.recordings for path in sorted(folder.rglob("*.wav"))]
    begun = time.process_time()
    unmarked = [detect_watermark(samples) for samples in clips]
    spent = time.process_time() - begun
    seconds, words = sum(cost["seconds"] for cost in costs), sum(verdict["words"] for verdict in verdicts)
    changes = [verdict["ovrl"] for verdict in verdicts]
    result = {
        "clips": len(clips),
        "seconds": round(seconds),
        "ovrl_change": round(float(np.mean(changes)), 4),
        "ovrl_change_error": round(float(np.std(changes) / np.sqrt(len(changes))), 4),
        "wer": [round(sum(verdict[key] for verdict in verdicts) / words, 4) for key in ("before", "after")],
        "mark_ms_per_s": round(1000 * sum(cost["spent"] for cost in costs) / seconds, 2),
        "clipped_samples": int(sum(cost["clipped"] for cost in costs)),
        "search_ms_per_s": round(1000 * spent / seconds, 1),
        "false_alarms": sum(each.found for each in unmarked),
        "chance": chance(clips + recordings),
        "clip": outlived(clips),
        "joined": outlived(pieces(clips, options.joined)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
