"""Faults of speech, made from a real recording whose words are known."""

import tracemalloc

import numpy as np
import pytest

from audio.frames import SAMPLE_RATE
from audio.speech_issues import find_speech_issues, speech_issues_in
from audio.speech_track import SpeechTrack
from tests.audio.media import recording
from tests.live import ROOT

TEXT = (ROOT / "test_audio.txt").read_text()
SECOND = SAMPLE_RATE


def kinds(samples: np.ndarray, text: str = TEXT) -> list[str]:
    return [fault.kind for fault in find_speech_issues(samples.astype(np.float32), text)]


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def with_stretch_repeated(times: int) -> np.ndarray:
    """The clip, in which 1.1 s come so many times instead of once."""
    before, after = 2 * SECOND, int(3.1 * SECOND)
    clip = recording()
    return np.concatenate([clip[:before], *[clip[before:after]] * times, clip[after:]])


def held_sound(seconds: float) -> np.ndarray:
    """A voice that stays on one vowel."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.1 * sum((np.sin(2 * np.pi * 120 * n * time) / n for n in range(1, 12)), np.zeros(len(time)))


def test_good_speech_has_no_faults() -> None:
    assert kinds(recording()) == []
    twice = np.concatenate([recording(), silence(0.7), recording()])
    assert kinds(twice, TEXT * 2) == []


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_a_stretch_that_comes_again_and_again(noise: float) -> None:
    looping = with_stretch_repeated(5)
    looping += np.random.default_rng(0).normal(0, noise, len(looping)).astype(np.float32)
    (fault,) = find_speech_issues(looping, TEXT)
    assert fault.kind == "loop" and "1.1 s" in fault.message
    assert (fault.start, fault.end) == (pytest.approx(2, abs=0.3), pytest.approx(7.5, abs=0.3))


@pytest.mark.parametrize(("seconds", "found"), [(0.18, []), (0.03, ["silence"])])
def test_a_short_word_can_be_heard_but_no_click(seconds: float, found: list[str]) -> None:
    """Kind: "A" of the default voice, at -26 dB, was told to be silence: the loudest 0.2 s decided."""
    assert kinds(np.concatenate([held_sound(seconds), silence(0.44 - seconds)]), "A") == found


def test_a_word_said_twice_is_no_loop() -> None:
    assert "loop" not in kinds(with_stretch_repeated(2))


def test_a_sound_that_is_held() -> None:
    assert kinds(np.concatenate([recording(), held_sound(4)])) == ["loop"]
    assert kinds(np.concatenate([recording(), held_sound(1)])) == []


def test_a_pause_that_no_reader_makes() -> None:
    (fault,) = find_speech_issues(np.concatenate([recording(), silence(4), recording()]), TEXT * 2)
    assert fault.kind == "silence" and fault.end - fault.start == pytest.approx(4, abs=0.3)
    assert kinds(np.concatenate([recording(), silence(4)])) == ["silence"]
    assert kinds(np.concatenate([silence(4), recording()])) == ["silence"]


@pytest.mark.parametrize("samples", [silence(2), recording() * 1e-3])
def test_nothing_to_hear(samples: np.ndarray) -> None:
    assert kinds(samples) == ["silence"]


def test_clipping_is_flat_peaks_not_loud_ones() -> None:
    clip = recording()
    assert kinds(np.clip(20 * clip, -1, 1)) == ["clipping"]
    assert kinds(clip / np.abs(clip).max()) == []


def test_too_short_and_too_long() -> None:
    assert kinds(recording()[:SECOND]) == ["too_short"]
    assert kinds(recording(), "The weather is warm.") == ["too_long"]
    assert kinds(recording()[: SECOND // 10]) == ["too_short"]
    assert kinds(silence(0)) == ["too_short"]


def test_digits_and_chinese_signs_take_longer_than_letters() -> None:
    assert kinds(recording(), "19 95 2001 17 4711 365 24 60 60 1789") == []
    assert kinds(recording(), "今天天气很暖和,所以我们坐火车去城里看我的姐姐。") == []


@pytest.mark.parametrize("size", [1, 7, 480, 1_023, 5_000, 240_000])
def test_what_is_found_is_the_same_in_whatever_pieces_the_sound_comes(size: int) -> None:
    """Of pieces of a sample, too, and of flat peaks that two pieces share."""
    clip = with_stretch_repeated(6)
    clip[30_000:30_300] = clip[70_000:70_400:2][0] = 1.0
    clip[4_999:5_003] = 1.0
    clip = clip[: 4 * SECOND] if size == 1 else clip
    track = SpeechTrack()
    for start in range(0, len(clip), size):
        track.push(clip[start : start + size])
    track.close()
    assert speech_issues_in(track, TEXT) == find_speech_issues(clip, TEXT) != []
    whole = SpeechTrack()
    whole.push(clip)
    whole.close()
    np.testing.assert_allclose(track.levels, whole.levels, atol=1e-6)
    np.testing.assert_array_equal(track.spectra, whole.spectra)


def test_five_minutes_take_little_memory() -> None:
    """Kind: a check at the end of every answer took twelve times the memory of its sound."""
    samples = np.tile(recording(), 40)[: 300 * SAMPLE_RATE]
    tracemalloc.start()
    find_speech_issues(samples, TEXT * 38)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 2**20
