"""Choosing the best part of a recording: what is taken, what is said of it, and what is refused."""

from collections.abc import Sequence

import numpy as np
import pytest

from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.frames import HOP, SAMPLE_RATE
from audio.loudness import TARGET_LUFS, measured
from audio.reference_selection import ReferenceSelection, select_reference
from errors import InvalidAudio
from tests.audio.media import recording

CLIP = recording() / np.abs(recording()).max()
PAUSE = np.zeros(SAMPLE_RATE // 2, np.float32)
RANDOM = np.random.default_rng(0)


def time_of(seconds: float) -> np.ndarray:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def tones(*partials: tuple[float, float], seconds: float = 8.0) -> np.ndarray:
    """The sum of sines, each an amplitude at a frequency in Hz."""
    time = time_of(seconds)
    sines = [amplitude * np.sin(2 * np.pi * hertz * time) for amplitude, hertz in partials]
    return np.sum(sines, axis=0).astype(np.float32)


def noise(amplitude: float, seconds: float = 8.0) -> np.ndarray:
    return RANDOM.normal(0, amplitude, int(seconds * SAMPLE_RATE)).astype(np.float32)


def melody() -> np.ndarray:
    """Sixteen plucked notes of half a second."""
    decay = np.exp(-3 * time_of(0.5))
    notes = (262.0, 330.0, 392.0, 523.0, 440.0, 349.0, 294.0, 392.0) * 2
    partials = [tuple((0.2 / k**1.5, k * note) for k in range(1, 8)) for note in notes]
    return np.concatenate([tones(*one, seconds=0.5) * decay for one in partials]).astype(np.float32)


def chord() -> np.ndarray:
    """Three notes held, each with its overtones."""
    return tones(*((0.03 / k, k * note) for k in range(1, 5) for note in (262.0, 330.0, 392.0)))


def another_voice() -> np.ndarray:
    """The clip a major seventh higher, and so faster: a woman's pitch."""
    return np.interp(np.arange(0, len(CLIP), 1.9), np.arange(len(CLIP)), CLIP).astype(np.float32)


def clipped(gain: float) -> np.ndarray:
    return np.clip(CLIP * gain, -1, 1).astype(np.float32)


def names_of(chosen: ReferenceSelection) -> list[str]:
    return [issue.name for issue in chosen.issues]


def check_shape(chosen: ReferenceSelection, source: np.ndarray) -> None:
    assert chosen.samples.dtype == np.float32 and len(chosen.samples) % HOP == 0
    assert chosen.source_seconds == len(source) / SAMPLE_RATE
    assert 0 <= chosen.start_seconds < chosen.end_seconds <= chosen.source_seconds
    used = chosen.end_seconds - chosen.start_seconds
    assert used == pytest.approx(len(chosen.samples) / SAMPLE_RATE) and used <= 30


@pytest.mark.parametrize("gain", [1.0, 0.02])
def test_a_good_recording_is_used_whole_at_the_usual_loudness(gain: float) -> None:
    source = (CLIP * gain).astype(np.float32)
    chosen = select_reference(source)
    check_shape(chosen, source)
    assert chosen.issues == ()
    assert chosen.end_seconds - chosen.start_seconds > 0.9 * chosen.source_seconds
    loudness, peak = measured(chosen.samples)
    assert loudness == pytest.approx(TARGET_LUFS, abs=1.5) and peak < 0


def test_of_five_minutes_a_clean_stretch_is_taken() -> None:
    good = np.concatenate([CLIP, PAUSE] * 3)
    bad = np.concatenate([clipped(8), PAUSE] * 10)
    source = np.concatenate([bad, noise(0.1, 30), good, bad, tones((0.2, 440.0), seconds=60)])
    chosen = select_reference(source)
    check_shape(chosen, source)
    start = (len(bad) + 30 * SAMPLE_RATE) / SAMPLE_RATE
    assert start - 1 <= chosen.start_seconds and chosen.end_seconds <= start + len(good) / SAMPLE_RATE + 1
    assert chosen.end_seconds - chosen.start_seconds > 20
    assert "clipping" not in names_of(chosen)


@pytest.mark.parametrize("longest", [6.0, 10.0, 20.0])
def test_no_more_is_taken_than_the_model_follows(longest: float) -> None:
    """Kind: a model babbles in the voice of a recording that is longer than what it was taught."""
    source = np.concatenate([CLIP, PAUSE] * 4)
    chosen = select_reference(source, max_seconds=longest)
    check_shape(chosen, source)
    assert longest / 2 <= chosen.end_seconds - chosen.start_seconds <= longest and not chosen.whole


def test_it_says_whether_all_that_is_said_was_taken() -> None:
    surrounded = np.concatenate([noise(0.002, 3), CLIP, PAUSE, PAUSE, PAUSE])
    assert select_reference(surrounded).whole
    assert not select_reference(np.concatenate([CLIP, PAUSE] * 6)).whole


def test_only_one_of_two_voices_is_taken_and_said_so() -> None:
    source = np.concatenate([CLIP, PAUSE, another_voice(), PAUSE, CLIP])
    chosen = select_reference(source)
    check_shape(chosen, source)
    border = len(CLIP) / SAMPLE_RATE + 0.5
    assert chosen.end_seconds <= border or chosen.start_seconds >= border
    assert names_of(chosen) == ["two_voices"] and "only one" in chosen.issues[0].message
    places = chosen.issues[0].places
    second = (border, border + len(another_voice()) / SAMPLE_RATE)
    assert places and all(second[0] - 0.2 <= one.start < one.end <= second[1] + 0.2 for one in places)


def test_another_judge_of_voices_is_asked_about_each_phrase() -> None:
    source = np.concatenate([CLIP, PAUSE, CLIP, PAUSE, CLIP])
    asked: list[float] = []

    def second_is_someone_else(phrases: Sequence[np.ndarray]) -> np.ndarray:
        asked.extend(len(phrase) / SAMPLE_RATE for phrase in phrases)
        starts = np.cumsum([0.0, *asked[:-1]]) / sum(asked)
        return (starts > 0.3) & (starts < 0.6)

    chosen = select_reference(source, second_is_someone_else)
    assert sum(asked) == pytest.approx(3 * len(CLIP) / SAMPLE_RATE, rel=0.1)
    assert chosen.end_seconds < len(CLIP) / SAMPLE_RATE + 0.6
    assert names_of(chosen) == ["two_voices"] and "only one" in chosen.issues[0].message


def test_speech_beside_much_softer_speech_is_taken() -> None:
    soft = CLIP * np.float32(0.05)
    chosen = select_reference(np.concatenate([soft, PAUSE, CLIP, PAUSE, CLIP, PAUSE, CLIP, PAUSE, soft]))
    assert (
        chosen.start_seconds > len(CLIP) / SAMPLE_RATE
        and chosen.end_seconds < 4 * len(CLIP) / SAMPLE_RATE + 2
    )


def humming(hertz: float) -> np.ndarray:
    """The clip between pauses, with the hum of a mains cable."""
    source = np.concatenate([PAUSE, PAUSE, CLIP, PAUSE, PAUSE])
    hum = tones((0.004, hertz), (0.003, 2 * hertz), (0.002, 3 * hertz), seconds=12)
    return source + hum[: len(source)]


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        (clipped(2.5), "clipping", "are clipped"),
        (decode_audio(encode_audio(clipped(2.5) / 2, "mp3").data), "clipping", "are clipped"),
        (humming(50), "hum", "50 Hz"),
        (humming(60), "hum", "60 Hz"),
        (CLIP + noise(0.1, len(CLIP) / SAMPLE_RATE)[: len(CLIP)], "noise", "dB below the speech"),
        (CLIP + chord()[: len(CLIP)], "music", "music or singing"),
    ],
)
def test_what_is_wrong_is_said_by_name(source: np.ndarray, name: str, words: str) -> None:
    chosen = select_reference(source)
    assert names_of(chosen) == [name]
    found = chosen.issues[0]
    assert words in found.message
    times = [moment for place in found.places for moment in (place.start, place.end)]
    assert times == sorted(times) and 0 <= times[0] < times[-1] <= chosen.source_seconds + 0.01


def test_hum_is_placed_where_nobody_speaks() -> None:
    places = select_reference(humming(50)).issues[0].places
    first, last = 2 * len(PAUSE) / SAMPLE_RATE, (2 * len(PAUSE) + len(CLIP)) / SAMPLE_RATE
    assert places[0].start == 0 and abs(places[0].end - first) < 0.3
    assert abs(places[-1].start - last) < 0.5


def test_clipping_is_placed_where_it_is_clipped() -> None:
    source = np.concatenate([0.9 * CLIP[:SAMPLE_RATE], clipped(2.5)[SAMPLE_RATE:]])
    places = select_reference(source).issues[0].places
    assert places[0].start > 0.9


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (CLIP[: int(1.9 * SAMPLE_RATE)], "audio_too_short"),
        (np.concatenate([PAUSE] * 4 + [CLIP[: int(0.8 * SAMPLE_RATE)]] + [PAUSE] * 4), "audio_too_short"),
        (np.zeros(5 * SAMPLE_RATE, np.float32), "audio_silent"),
        (tones((0.1, 50.0), (0.05, 150.0)), "audio_no_speech"),
        (tones((0.3, 440.0)), "audio_no_speech"),
        (noise(0.1), "audio_no_speech"),
        (melody(), "audio_no_speech"),
        (noise(0.1) * (np.sin(4 * np.pi * time_of(8)) > 0), "audio_no_speech"),
        (clipped(8), "audio_clipped"),
        (np.where(np.arange(len(CLIP)) == 9, np.nan, CLIP), "audio_not_finite"),
    ],
)
def test_what_is_of_no_use_is_refused(source: np.ndarray, code: str) -> None:
    with pytest.raises(InvalidAudio) as caught:
        select_reference(source.astype(np.float32))
    assert caught.value.code == code
