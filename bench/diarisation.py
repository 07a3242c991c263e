"""How well speakers are told apart: the diarisation error rate, and whether their number is right.

    python -m bench.diarisation --voices FOLDER [FOLDER …] [--seed 0] [--each 6]
    python -m bench.diarisation --rttm FILE.rttm --audio FOLDER
    python -m bench.diarisation --cohort FOLDER

--voices makes conversations of one to four speakers out of FOLDER/VOICE/*.wav: turns of 1.5 to 9 s, one in
seven a word of 0.5 to 1.2 s, pauses of 0 to 1.2 s, levels up to 9 dB apart, a little noise. What Silero VAD
hears in a turn's clean clip is its speech. --rttm measures FOLDER/NAME.wav, whose truth is a file in
NIST's format. --cohort writes speakers/cohort_mean.npy, the mean embedding of FOLDER's voices.

Error rates are shares of the speech, in frames of 10 ms, without a collar and with overlapped speech: missed,
false alarm, and confusion under the best matching of speakers. Ends in one line of JSON.
"""

import argparse
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audio.activity import runs
from audio.frames import SAMPLE_RATE
from audio.voice_activity import SPOKEN, WINDOW_SECONDS, speech_probabilities
from speakers import diarisation
from speakers.diarisation import diarise
from speakers.encoder import SAMPLE_RATE as ENCODER_RATE
from speakers.encoder import WINDOW, weights_file
from speakers.verifier import OVERLAP, SpeakerVerifier, speech, windows

FRAMES = 100  # per second
BRIDGED_SECONDS = 0.3  # a shorter pause within a turn is none, as in NIST's evaluations
SPEAKERS = (1, 2, 3, 4)
MIN_VOICE_SECONDS = 5.0
Truth = list[tuple[float, float, str]]  # from when to when, in seconds, who
Errors = dict[str, float]


def loaded(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    return samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32)


class Voice:
    """A voice's clips, of which parts are taken in turn."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._clips = [loaded(path) for path in sorted(folder.glob("*.wav"))]
        self.seconds = sum(map(len, self._clips)) / SAMPLE_RATE
        self._rest = np.zeros(0, np.float32)
        self._next = 0

    def take(self, seconds: float) -> np.ndarray:
        """Return the next part of about this length, which ends at a quiet moment."""
        if not len(self._rest):
            self._rest = self._clips[self._next % len(self._clips)]
            self._next += 1
        end = int(seconds * SAMPLE_RATE)
        if end > len(self._rest) - SAMPLE_RATE:
            end = len(self._rest)
        else:
            first = max(end - SAMPLE_RATE // 5, 0)
            steps = self._rest[first : end + SAMPLE_RATE // 5]
            steps = steps[: len(steps) // 480 * 480].reshape(-1, 480)
            end = first + int((steps**2).mean(axis=1).argmin()) * 480 + 240
        part, self._rest = self._rest[:end], self._rest[end:]
        return part


def spoken_spans(samples: np.ndarray) -> Iterator[tuple[float, float]]:
    """Yield where there is speech in a clean part, in seconds, short pauses bridged."""
    flags = speech_probabilities(samples, SAMPLE_RATE) > SPOKEN
    for start, end in zip(*runs(~flags), strict=True):
        if start > 0 and end < len(flags) and (end - start) * WINDOW_SECONDS < BRIDGED_SECONDS:
            flags[start:end] = True
    for start, end in zip(*runs(flags), strict=True):
        yield start * WINDOW_SECONDS, min(end * WINDOW_SECONDS, len(samples) / SAMPLE_RATE)


def conversation(folders: Sequence[Path], seed: int) -> tuple[np.ndarray, Truth]:
    """Return the samples and the truth of a conversation among these voices."""
    random = np.random.default_rng(seed)
    voices = [Voice(folder) for folder in folders]
    gains = [float(gain) for gain in 10 ** (random.uniform(-6, 3, len(voices)) / 20)]
    pieces: list[np.ndarray] = []
    truth: Truth = []
    at, last = 0, -1
    while at < (20 + 15 * len(voices)) * SAMPLE_RATE:
        who = int(random.integers(len(voices)))
        if who == last and len(voices) > 1:
            continue
        word = random.random() < 1 / 7
        part = voices[who].take(random.uniform(0.5, 1.2) if word else random.uniform(1.5, 9)) * gains[who]
        begin = at / SAMPLE_RATE
        truth += [(begin + start, begin + end, voices[who].name) for start, end in spoken_spans(part)]
        pause = int(random.choice([0, 0.1, 0.3, 0.6, 1.2], p=[0.2, 0.2, 0.3, 0.2, 0.1]) * SAMPLE_RATE)
        pieces += [part, np.zeros(pause, np.float32)]
        at, last = at + len(part) + pause, who
    samples = np.concatenate(pieces)
    return samples + random.normal(0, 10 ** (-58 / 20), len(samples)).astype(np.float32), truth


def frames_of(spans: Truth, seconds: float) -> np.ndarray:
    """Return who speaks in each frame (speakers, frames)."""
    names = sorted({name for _, _, name in spans})
    found = np.zeros((len(names), int(seconds * FRAMES) + 1), bool)
    for start, end, name in spans:
        found[names.index(name), round(start * FRAMES) : round(end * FRAMES)] = True
    return found


def errors_of(truth: Truth, told: Truth, seconds: float) -> Errors:
    """Return the diarisation error rate and its parts."""
    true, found = frames_of(truth, seconds), frames_of(told, seconds)
    there, said = true.sum(axis=0), found.sum(axis=0)
    both = true.astype(int) @ found.T.astype(int)
    total = max(int(there.sum()), 1)
    parts = {
        "missed": int(np.maximum(there - said, 0).sum()) / total,
        "false_alarm": int(np.maximum(said - there, 0).sum()) / total,
        "confusion": (int(np.minimum(there, said).sum()) - best_matching(both)) / total,
    }
    return {"der": sum(parts.values()), **parts, "speakers_right": float(len(true) == len(found))}


def best_matching(both: np.ndarray) -> int:
    """Return the most frames that a one-to-one matching of true and found speakers has in common."""
    both = both if both.shape[0] >= both.shape[1] else both.T

    @cache
    def best(row: int, used: int) -> int:
        if row == len(both):
            return 0
        free = [column for column in range(both.shape[1]) if not used >> column & 1]
        taken = [int(both[row, column]) + best(row + 1, used | 1 << column) for column in free]
        return max([best(row + 1, used), *taken])

    return best(0, 0)


def measured(name: str, samples: np.ndarray, truth: Truth, verifier: SpeakerVerifier) -> Errors:
    turns = diarise(samples, SAMPLE_RATE, verifier).turns
    told = [(turn.start, turn.end, str(turn.speaker)) for turn in turns]
    found = errors_of(truth, told, len(samples) / SAMPLE_RATE)
    count = f"{len({who for *_, who in truth})} speakers, {len({who for *_, who in told})} found"
    print(
        f"{name:24} {count}  " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()), flush=True
    )
    return found


def measure_voices(
    folders: Sequence[Path], seed: int, each: int, verifier: SpeakerVerifier
) -> dict[str, Errors]:
    """Error rates of made conversations, by the number of speakers."""
    among = [folder for parent in folders for folder in sorted(parent.iterdir()) if folder.is_dir()]
    among = [folder for folder in among if Voice(folder).seconds >= MIN_VOICE_SECONDS]
    random, found = np.random.default_rng(seed), {}
    for count in SPEAKERS:
        results = []
        for number in range(each):
            who = [among[place] for place in random.choice(len(among), count, replace=False)]
            samples, truth = conversation(who, 1000 * seed + 100 * count + number)
            results.append(measured(f"{count} speakers, {number}", samples, truth, verifier))
        found[str(count)] = mean_of(results)
    return found


def measure_rttm(path: Path, audio: Path, verifier: SpeakerVerifier) -> dict[str, Errors]:
    """Error rates of recordings whose truth is known."""
    truths: dict[str, Truth] = defaultdict(list)
    for line in unicodedata.normalize("NFC", path.read_text("utf-8")).splitlines():
        kind, name, _, start, seconds, _, _, who, *_ = line.split()
        if kind == "SPEAKER":
            truths[name].append((float(start), float(start) + float(seconds), who))
    files = {unicodedata.normalize("NFC", file.stem): file for file in audio.glob("*.wav")}
    known = {name: truth for name, truth in truths.items() if name in files}
    return {"recordings": mean_of([measured(n, loaded(files[n]), t, verifier) for n, t in known.items()])}


def mean_of(results: Sequence[Errors]) -> Errors:
    return {key: round(float(np.mean([one[key] for one in results])), 4) for key in results[0]}


def write_cohort(folder: Path, verifier: SpeakerVerifier) -> dict[str, int]:
    """Write the mean over voices of the mean of their embeddings."""
    means = []
    for voice in sorted(path for path in folder.iterdir() if path.is_dir()):
        clips = [speech(loaded(path), SAMPLE_RATE) for path in sorted(voice.glob("*.wav"))]
        cut = [windows(clip, WINDOW // OVERLAP) for clip in clips if len(clip) >= ENCODER_RATE]
        if cut:
            means.append(verifier.encode(np.concatenate(cut)).mean(axis=0))
    path = Path(diarisation.__file__).with_name("cohort_mean.npy")
    np.save(path, np.mean(means, axis=0).astype(np.float32))
    return {"voices": len(means)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voices", type=Path, nargs="+", help="folders of voices' folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=6, help="conversations for each number of speakers")
    parser.add_argument("--rttm", type=Path, help="who speaks when in recordings")
    parser.add_argument("--audio", type=Path, help="folder of those recordings")
    parser.add_argument("--cohort", type=Path, help="folder of voices' folders, to write their mean")
    options = parser.parse_args()
    verifier = SpeakerVerifier(weights_file())
    if options.cohort:
        print(json.dumps({"cohort": write_cohort(options.cohort, verifier)}))
    elif options.rttm:
        print(json.dumps({"diarisation": measure_rttm(options.rttm, options.audio, verifier)}))
    else:
        found = measure_voices(options.voices, options.seed, options.each, verifier)
        print(json.dumps({"diarisation": found}))


if __name__ == "__main__":
    main()
