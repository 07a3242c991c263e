"""Is the bundled model understood, however long the recording is that it is to sound like?

Kind: a recording longer than what a model was taught to follow gave a voice that babbles; of 28 s, 95 of 100
words were wrong. Real: recordings are decoded, judged, cut and encoded, and a recogniser listens.
"""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from asr.words import words_of, wrong_words
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from bench.listening import words_heard
from settings import Settings
from synthesis.options import SpeechOptions
from tests.audio.media import recording
from tests.live import BUNDLED_MODEL
from voice_cloning import VoiceCloner

TEXTS = (
    "The train to the city was late again today.",
    "Please send me the report before the end of the week.",
    "We walked along the river until the sun went down.",
)
MAX_WRONG = 0.4  # of the words: up to a quarter are misheard anyway, and of babble nine tenths


@pytest.fixture(scope="module")
def cloner() -> Iterator[VoiceCloner]:
    if not (BUNDLED_MODEL / "model.safetensors").exists():
        pytest.skip(f"no bundled model at {BUNDLED_MODEL}")
    with closing(VoiceCloner.load(Settings(model=str(BUNDLED_MODEL), device="cpu"))) as loaded:
        yield loaded


@pytest.mark.parametrize("seconds", [5, 10, 28, 60])
def test_it_is_understood_by_a_recording_of_any_length(cloner: VoiceCloner, seconds: int) -> None:
    pause = np.zeros(SAMPLE_RATE // 3, np.float32)
    source = np.resize(np.concatenate([recording(), pause]), seconds * SAMPLE_RATE)
    voice = cloner.reference(encode_audio(source, "wav").data)
    assert voice.codes.shape[1] <= 25 * cloner.max_reference_seconds
    assert voice.trimmed == (seconds > cloner.max_reference_seconds)
    wrong = total = 0
    for seed, text in enumerate(TEXTS):
        said = words_of(text)
        wrong += wrong_words(said, words_heard(cloner.speak(text, voice, SpeechOptions(seed=seed)).samples))
        total += len(said)
    assert wrong <= MAX_WRONG * total


def test_words_of_more_than_the_used_part_are_left_out(cloner: VoiceCloner) -> None:
    long = encode_audio(np.resize(recording(), 28 * SAMPLE_RATE), "wav").data
    assert cloner.reference(long, "All that is said in 28 seconds.").transcript is None
    short = encode_audio(recording(), "wav").data
    assert cloner.reference(short, "These words.").transcript == "These words."
