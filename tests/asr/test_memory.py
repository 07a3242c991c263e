"""Recordings in memory while they are listened to: long ones take turns, none is decoded without a place."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from asr.memory import LONG_AT_ONCE, LONG_SECONDS, RecordingMemory
from asr.transcriber import Transcriber, load_recogniser
from asr.windows import levels_of
from audio.compact import as_float, compact
from errors import InvalidAudio, Overloaded
from tests.audio.media import recording

RATE = 1_000
LONG = np.zeros(int((LONG_SECONDS + 1) * RATE), np.float32)


def decoded(samples: np.ndarray, seconds: float) -> np.ndarray:
    if len(samples) > seconds * RATE:
        raise InvalidAudio("It is too long.", code="audio_too_long")
    return samples


def test_no_more_than_a_few_long_recordings_are_held_at_once() -> None:
    """A kind of fault: memory that grows with the number of clients, without any bound but theirs."""
    memory = RecordingMemory()
    changing, held, most = threading.Lock(), 0, 0

    def client(_: int) -> None:
        nonlocal held, most
        with memory.held(lambda seconds: decoded(LONG, seconds), 3_600) as samples:
            assert samples.dtype == np.int16 and len(samples) == len(LONG)
            with changing:
                held, most = held + 1, max(most, held + 1)
            threading.Event().wait(0.02)
            with changing:
                held -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(client, range(12)))
    assert most <= LONG_AT_ONCE


def test_short_recordings_stay_as_they_are_and_too_long_ones_are_refused() -> None:
    memory = RecordingMemory()
    with memory.held(lambda seconds: decoded(recording(), seconds * 24), 3_600) as samples:
        np.testing.assert_array_equal(samples, recording())
    for longest in (60, LONG_SECONDS + 0.5):
        with pytest.raises(InvalidAudio), memory.held(lambda seconds: decoded(LONG, seconds), longest):
            pass


def test_compact_samples_sound_the_same() -> None:
    np.testing.assert_allclose(as_float(compact(recording())), recording(), atol=1 / 32_000)
    levels = levels_of(recording(), 24_000)
    loud = levels > -50
    np.testing.assert_allclose(levels_of(compact(recording()), 24_000)[loud], levels[loud], atol=0.1)


def test_a_full_recogniser_refuses_before_anything_is_decoded() -> None:
    """A kind of fault: work that is done for a request that is refused afterwards."""
    transcriber = Transcriber(lambda: load_recogniser("pocketsphinx", "cpu"), max_waiting=0)

    def decode(seconds: float) -> np.ndarray:
        raise AssertionError("It was decoded.")

    with pytest.raises(Overloaded):
        transcriber.submit_lazy(decode, 24_000, 60).transcript()
    transcriber.close()
