"""Music is told from speech, whether held tones make it or a beat, and under speech too."""

from collections.abc import Callable

import numpy as np
import pytest

from audio.decode import decode_audio
from audio.music import is_music, peak_heights
from tests.audio.media import recording
from tests.live import ROOT

RATE = 24_000
HUMAN_VOICES = ROOT.parent / "shared" / "voices"
RANDOM = np.random.default_rng(0)


def chords(seconds: float) -> np.ndarray:
    """A major, F sharp minor, D major, E major, each for two seconds, with seven partials to a note."""
    time = np.arange(2 * RATE) / RATE
    notes = [(220.0, 277.2, 329.6), (185.0, 220.0, 277.2), (146.8, 185.0, 220.0), (164.8, 207.7, 246.9)]
    parts = [
        sum(np.sin(2 * np.pi * k * note * time) / k for note in chord for k in range(1, 8)) * np.exp(-time)
        for chord in notes
    ]
    return np.resize(np.concatenate(parts), int(seconds * RATE)).astype(np.float32) * 0.1


def drums(seconds: float) -> np.ndarray:
    """A kick and a snare in turn, half a second each."""
    time = np.arange(RATE // 2) / RATE
    kick = np.sin(2 * np.pi * (50 * time + 7 * (1 - np.exp(-10 * time)))) * np.exp(-12 * time)
    bars = int(seconds) + 1
    hits = [
        part for _ in range(bars) for part in (kick, RANDOM.normal(0, 0.5, len(time)) * np.exp(-25 * time))
    ]
    return np.concatenate(hits)[: int(seconds * RATE)].astype(np.float32) * 0.5


def level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize("played", [chords, drums])
def test_music_is_noticed(played: Callable[[float], np.ndarray]) -> None:
    assert is_music(played(8.0))


@pytest.mark.parametrize("below_speech_db", [0, 6, 12])
def test_chords_under_speech_are_noticed(below_speech_db: int) -> None:
    voice = recording()
    music = chords(len(voice) / RATE)[: len(voice)]
    assert is_music(voice + music * level(voice) / level(music) * 10 ** (-below_speech_db / 20))


def test_speech_is_no_music() -> None:
    voice = recording()
    assert not is_music(voice)
    starts = range(0, len(voice) - 2 * RATE, RATE)
    assert not any(is_music(voice[start : start + 2 * RATE]) for start in starts)


def test_people_are_no_music() -> None:
    if not HUMAN_VOICES.is_dir():
        pytest.skip(f"no recordings of people at {HUMAN_VOICES}")
    assert not any(is_music(decode_audio(path.read_bytes())) for path in HUMAN_VOICES.glob("*.wav"))


def test_a_peak_stands_above_its_higher_valley() -> None:
    curve = np.array([0.0, 0.5, 0.5, 0.2, 0.9, 0.4, 0.4])
    assert peak_heights(curve) == pytest.approx([0.3, 0.5])
    assert len(peak_heights(np.zeros(5))) == 0
