"""The watermark: the same samples however they come, hardly a change, found after what happens to files."""

import math

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.delivery import delivered
from audio.frames import HOP, SAMPLE_RATE
from audio.watermark import BLOCK, PERIOD, Watermark, band_edges, signs, watermarked
from audio.watermark_detection import AS_SPOKEN, MAX_FALSE_ALARM, OFFSETS, Window, detect_watermark
from bench.harms import HARMS
from tests.audio.media import recording


def marked(samples: np.ndarray, start: int = 0) -> np.ndarray:
    return np.concatenate(list(watermarked([samples], start)))


SPEECH = marked(recording())


@settings(max_examples=20)
@given(st.lists(st.integers(0, 30_000), max_size=8).map(sorted), st.integers(0, 30_000))
def test_streamed_speech_is_whole_speech_bit_by_bit(cuts: list[int], length: int) -> None:
    samples = recording()[40_000 : 40_000 + length]
    pieces = list(watermarked(np.split(samples, cuts)))
    np.testing.assert_array_equal(np.concatenate(pieces), marked(samples))
    assert sum(map(len, pieces)) == length


def test_whole_frames_are_not_held_back() -> None:
    mark = Watermark()
    assert [len(mark.push(recording()[:count])) for count in (8 * HOP, HOP, BLOCK)] == [8 * HOP, HOP, BLOCK]
    assert len(mark.close()) == 0


def test_silence_stays_silent() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    assert not marked(silence).any()
    after = marked(np.concatenate([recording()[24_000:48_000], silence]))[26_000:]
    assert np.abs(after).max() < 0.5 / 32_768


def levels(samples: np.ndarray) -> np.ndarray:
    """The spectrogram in dB, as a picture of it shows: 21 ms, 60 dB deep."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 512)[::256]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(512))))
    return 10 * np.log10(np.maximum(power / power.max(), 1e-6))


def test_nothing_is_seen_in_the_spectrogram() -> None:
    before, after = levels(recording()), levels(SPEECH)
    change = np.abs(after - before)[before > -50]
    assert np.sqrt(np.mean(np.square(change))) < 1.2
    assert np.quantile(change, 0.99) < 2.5  # the rest lies in the valleys between two harmonics
    assert abs(np.mean((after - before)[before > -50])) < 0.2


def test_the_pattern_is_balanced_and_unlike_itself_elsewhere() -> None:
    pattern = signs()
    assert pattern.shape == (PERIOD, len(band_edges()) - 1)
    assert abs(pattern.mean()) < 0.06
    again = [np.mean(pattern * np.roll(pattern, step, 0)) for step in range(1, PERIOD)]
    assert np.abs(again).max() < 0.1


@pytest.mark.parametrize("harm", HARMS)
def test_the_mark_outlives(harm: str) -> None:
    found = detect_watermark(HARMS[harm](SPEECH).astype(np.float32))
    assert found.found and found.speed == 1.0, found
    assert found.false_alarm <= MAX_FALSE_ALARM


@pytest.mark.parametrize("speed", [0.93, 1.06])
def test_the_mark_outlives_another_speed(speed: float) -> None:
    as_player = soxr.resample(SPEECH, SAMPLE_RATE * speed, SAMPLE_RATE)
    tempo = np.concatenate(list(delivered([SPEECH], (speed, 0.0, 0.0))))
    for samples in (as_player, tempo):
        found = detect_watermark(samples)
        assert found.found and abs(found.speed - speed) < 0.01, found


@pytest.mark.parametrize("harm", ["none", "opus 24k", "8 kHz"])
def test_a_recording_without_the_mark_is_not_taken_for_one(harm: str) -> None:
    found = detect_watermark(HARMS[harm](recording()).astype(np.float32))
    assert not found.found and found.spans == ()


@pytest.mark.parametrize("kind", ["silence", "noise", "tone", "click"])
def test_what_is_no_speech_is_not_marked(kind: str) -> None:
    times = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    samples = {
        "silence": np.zeros(len(times)),
        "noise": np.random.default_rng(1).standard_normal(len(times)) / 10,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * times),
        "click": (np.arange(len(times)) == 30_000) * 1.0,
    }[kind]
    assert not detect_watermark(samples.astype(np.float32)).found


def test_chance_stays_below_the_bound() -> None:
    """The signs are random to all that is unmarked: scores stay below what one in 10,000 sets reaches."""
    seconds = np.resize(recording(), (40, SAMPLE_RATE)) * np.hanning(SAMPLE_RATE).astype(np.float32)
    scores = [Window(each, 0).scores([AS_SPOKEN])[0] for each in seconds]
    assert max(scores) < math.sqrt(2 * math.log(1e4 * len(scores) * OFFSETS))
    assert np.median(scores) > 2  # it is the highest of many


def test_a_mark_goes_on_from_part_to_part() -> None:
    first, second = recording()[:50_001], recording()[50_001:]
    joined = np.concatenate([marked(first), marked(second, len(first))])
    assert detect_watermark(joined).score > 0.9 * detect_watermark(SPEECH).score


def test_it_is_said_where_the_mark_is() -> None:
    other = np.tile(recording(), 5)
    found = detect_watermark(np.concatenate([other, marked(np.tile(recording(), 2)), other]))
    (start, end), *more = found.spans
    assert not more
    assert len(other) / SAMPLE_RATE - 15 < start < len(other) / SAMPLE_RATE + 4
    assert 10 < end - start < 38


def test_too_little_says_nothing() -> None:
    for length in (0, 100, 1_000, 5_000):
        assert not detect_watermark(SPEECH[30_000 : 30_000 + length]).found
