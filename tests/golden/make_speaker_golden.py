"""Record what Resemblyzer's own code makes of a window of test_audio.wav.

In an environment of its own: pip install resemblyzer==0.1.4 webrtcvad-wheels soxr soundfile, then
python -m tests.golden.make_speaker_golden.
"""

from pathlib import Path

import numpy as np
import soundfile
import soxr
from resemblyzer import VoiceEncoder

HERE = Path(__file__).resolve().parent


def main() -> None:
    samples, rate = soundfile.read(HERE.parent.parent / "test_audio.wav", dtype="float32")
    window = soxr.resample(samples, rate, 16_000)[16_000 : 16_000 + 25_600].astype(np.float32)
    embedding = VoiceEncoder("cpu", verbose=False).embed_utterance(window)
    np.save(HERE / "speaker_resemblyzer.npy", embedding)


if __name__ == "__main__":
    main()
