"""Speech on the command line: a recording and a text in, a WAV file out, with a progress bar."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from errors import VoiceServerError
from higgs.speech import SpeechStream
from higgs.spoken import SampleBuffer, SpeechReport
from synthesis.options import SpeechOptions
from synthesis.references import VoiceReference

TYPICAL_SPEECH = 15  # characters a second


class Cloner(Protocol):
    """What clones and speaks; see voice_cloning.VoiceCloner."""

    def reference(self, audio: bytes, transcript: str | None = None) -> VoiceReference: ...

    def stream(self, text: str, voice: VoiceReference, options: SpeechOptions) -> SpeechStream: ...


def main(load: Callable[[], Cloner]) -> None:
    """Run the command line; `load` loads the model once the arguments are valid."""
    parser = argparse.ArgumentParser(description="Speak a text in the voice of a recording.")
    parser.add_argument("recording", type=Path, help="5 to 10 s of one voice, in any sound or video format")
    parser.add_argument("text", help="what to say")
    parser.add_argument("-o", "--output", type=Path, default=Path("out.wav"), help="WAV file to write")
    parser.add_argument("--transcript", help="words spoken in the recording; improves the clone")
    parser.add_argument("--seed", type=int, help="the same seed gives the same audio")
    arguments = parser.parse_args()
    try:
        samples, speech = _speak(arguments, load)
        arguments.output.write_bytes(encode_audio(samples, "wav").data)
    except (VoiceServerError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    seconds = len(samples) / SAMPLE_RATE
    print(f"{arguments.output}: {seconds:.2f} s, seed {speech.seed}, finish_reason {speech.finish_reason}")


def heard_with_progress(stream: Iterable[np.ndarray], expected_seconds: float) -> np.ndarray:
    """Collect the samples (N,) of a stream, with a progress bar."""
    heard = SampleBuffer()
    layout = "{desc} |{bar:30}| {n:.1f} s of speech in {elapsed}"
    with tqdm(desc="speaking", total=expected_seconds, bar_format=layout) as progress:
        for samples in stream:
            heard.append(samples)
            progress.total = max(progress.total, progress.n + len(samples) / SAMPLE_RATE)
            progress.update(len(samples) / SAMPLE_RATE)
        progress.total = progress.n
        progress.refresh()
    return heard.samples


def _speak(arguments: argparse.Namespace, load: Callable[[], Cloner]) -> tuple[np.ndarray, SpeechReport]:
    recording = arguments.recording.read_bytes()
    cloner = load()
    voice = cloner.reference(recording, arguments.transcript)
    stream = cloner.stream(arguments.text, voice, SpeechOptions(seed=arguments.seed))
    return heard_with_progress(stream, len(arguments.text) / TYPICAL_SPEECH), stream.finished()
