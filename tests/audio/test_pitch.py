"""The pitch tracker, on tones whose pitch is known and on a synthesiser's voices."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from audio.pitch import median_pitch, pitch_track
from tests.audio.media import recording


def voice_like(frequency: float, seconds: float = 1.0) -> np.ndarray:
    """A harmonic sound whose overtones fall by 6 dB an octave."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    harmonics = np.arange(1, int(4_000 / frequency) + 1)[:, None]
    return np.sum(np.sin(2 * np.pi * frequency * harmonics * time + harmonics) / harmonics, axis=0)


@pytest.mark.parametrize("frequency", [70, 85, 110, 165.5, 220, 310, 440])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_steady_tone_has_its_pitch(frequency: float, noise: float) -> None:
    tone = voice_like(frequency) + np.random.default_rng(0).normal(0, noise, SAMPLE_RATE)
    assert median_pitch(tone, SAMPLE_RATE) == pytest.approx(frequency, rel=0.005)
    assert median_pitch(0.001 * tone, SAMPLE_RATE) == pytest.approx(frequency, rel=0.005)


def test_silence_between_tones_has_none() -> None:
    samples = np.concatenate([voice_like(120), np.zeros(SAMPLE_RATE), voice_like(120)])
    track = pitch_track(samples, SAMPLE_RATE)
    assert np.isnan(track[110:190]).all()
    assert not np.isnan(track[:90]).any()


@pytest.mark.parametrize(
    "samples", [np.zeros(SAMPLE_RATE), np.zeros(10), np.random.default_rng(1).normal(size=SAMPLE_RATE)]
)
def test_what_is_no_voice_has_no_pitch(samples: np.ndarray) -> None:
    assert median_pitch(samples, SAMPLE_RATE) is None


def test_the_reference_clip_is_a_man() -> None:
    pitch = median_pitch(recording(), SAMPLE_RATE)
    assert pitch is not None and 85 < pitch < 120


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
@pytest.mark.parametrize(("voice", "lowest", "highest"), [("rms", 85, 120), ("slt", 150, 200)])
def test_flites_man_and_woman(voice: str, lowest: float, highest: float, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    subprocess.run(["flite", "-voice", voice, "-t", "The quick brown fox jumps.", "-o", path], check=True)
    pitch = median_pitch(decode_audio(path.read_bytes()), SAMPLE_RATE)
    assert pitch is not None and lowest < pitch < highest
