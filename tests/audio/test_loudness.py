"""Loudness by ITU-R BS.1770, against what the standard and FFmpeg's ebur128 say, and from many threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from audio.frames import SAMPLE_RATE
from audio.loudness import TARGET_LUFS, at_usual_loudness, measured
from tests.audio.media import recording, sentence

SINE = np.sin(2 * np.pi * 997 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)


def test_a_sine_at_full_scale_has_the_loudness_of_the_standard() -> None:
    """EBU Tech 3341: 997 Hz at 0 dBFS in one channel is -3.01 LUFS."""
    loudness, peak = measured(SINE)
    assert loudness == pytest.approx(-3.01, abs=0.05) and peak == pytest.approx(0, abs=0.1)


def test_speech_has_the_loudness_that_ffmpeg_measures() -> None:
    """`ffmpeg -i test_audio.wav -af ebur128=peak=true` says -17.0 LUFS and -2.1 dBFS."""
    loudness, peak = measured(recording())
    assert loudness == pytest.approx(-17.0, abs=0.1) and peak == pytest.approx(-2.1, abs=0.1)


def test_pauses_count_for_nothing() -> None:
    silence = np.zeros(30 * SAMPLE_RATE, np.float32)
    assert measured(np.concatenate([SINE, silence]))[0] == pytest.approx(measured(SINE)[0], abs=0.2)


@pytest.mark.parametrize("samples", [SINE[:5_000], 0 * SINE, SINE * np.float32(1e-6)])
def test_what_can_not_be_measured_stays_as_it_is(samples: np.ndarray) -> None:
    np.testing.assert_array_equal(at_usual_loudness(samples), samples)


def test_a_peak_is_seen_between_two_samples() -> None:
    time = np.arange(SAMPLE_RATE)
    shifted = np.sin(np.pi / 2 * time + np.pi / 4).astype(np.float32)
    assert np.abs(shifted).max() < 0.71 and measured(shifted)[1] == pytest.approx(0, abs=0.3)


def test_threads_do_not_get_each_others_figures() -> None:
    """Kind: FFmpeg's log, which all threads share, gave a voice the loudness of another."""
    gains = [10 ** (-decibels / 20) for decibels in range(0, 32, 2)] * 4

    def levelled(gain: float) -> tuple[float, float]:
        quiet = (sentence() * gain).astype(np.float32)
        return measured(quiet)[0], measured(at_usual_loudness(quiet))[0]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(levelled, gains))
    alone = measured(sentence())[0]
    for gain, (before, after) in zip(gains, found, strict=True):
        assert before == pytest.approx(alone + 20 * np.log10(gain), abs=0.1)
        assert after == pytest.approx(TARGET_LUFS, abs=0.1)
