"""Windows: cut at pauses, none too long, silence left out."""

from itertools import pairwise

import numpy as np
import pytest

from asr.transcript import Chunking
from asr.windows import MAX_SECONDS, chunks, windows
from tests.audio.media import recording

RATE = 16_000


def sound(seconds: float, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, int(seconds * RATE)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)


def found(*parts: np.ndarray) -> list[tuple[float, float]]:
    return [(start / RATE, end / RATE) for start, end in windows(np.concatenate(parts), RATE)]


def test_a_short_recording_is_one_window() -> None:
    assert found(sound(12)) == [(0, 12)]


def test_silence_around_speech_is_left_out() -> None:
    ((start, end),) = found(silence(5), sound(4), silence(6))
    assert (start, end) == (pytest.approx(4.75, abs=0.05), pytest.approx(9.25, abs=0.05))


def test_the_cut_falls_into_the_pause() -> None:
    first, second = found(sound(21), silence(0.6), sound(19))
    assert 21 < first[1] <= second[0] < 21.6 and second[1] == pytest.approx(40.6)


def test_without_a_pause_windows_are_cut_all_the_same() -> None:
    parts = found(sound(100))
    assert all(0 < end - start <= 30 for start, end in parts)
    assert [one[1] for one in parts[:-1]] == [other[0] for other in parts[1:]]
    assert (parts[0][0], parts[-1][1]) == (0, 100)


def test_a_long_silence_between_is_no_window() -> None:
    first, second = found(sound(5), silence(120), sound(5))
    assert first[1] < 30 and second[0] == pytest.approx(124.75, abs=0.1)


@pytest.mark.parametrize("samples", [silence(0), silence(40), sound(10, 1e-5), sound(0.05)])
def test_nothing_to_hear(samples: np.ndarray) -> None:
    assert found(samples) == []


def test_an_offset_of_the_microphone_is_not_sound() -> None:
    assert found(silence(3) + np.float32(0.2)) == []


def chunked(samples: np.ndarray, chunking: Chunking) -> list[tuple[float, float]]:
    return [(start / 24_000, end / 24_000) for start, end in chunks(samples, 24_000, chunking)]


def test_voice_activity_cuts_at_pauses_and_keeps_what_is_before_speech() -> None:
    pause = np.zeros(24_000, np.float32)
    speech = recording()
    samples = np.concatenate([pause, speech, pause, speech])
    plain = chunked(samples, Chunking(0.5, 0.0, 0.6))
    padded = chunked(samples, Chunking(0.5, 0.3, 0.6))
    assert len(plain) == len(padded) == 2
    for (start, end), (earlier, same) in zip(plain, padded, strict=True):
        assert start - earlier == pytest.approx(0.3, abs=0.01) and end == same
    assert len(chunked(samples, Chunking(0.5, 0.3, 2.0))) == 1
    assert chunked(pause, Chunking(0.5, 0.3, 0.2)) == []


def test_speech_without_a_pause_is_cut_where_it_is_too_long() -> None:
    found = chunked(np.tile(recording(), 8), Chunking(0.0, 5.0, 5.0))
    assert len(found) > 1 and all(0 < end - start <= MAX_SECONDS for start, end in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))
