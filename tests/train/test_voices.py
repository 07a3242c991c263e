"""Pseudo-speakers, and what recordings of people have that synthesisers' have not."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from higgs.codecs.vocoder.analysis import BANDS, LOG_FLOOR, Features
from higgs.codecs.vocoder.speaker import Speaker, speaker_of
from train.speech import FLITE, Teacher
from train.voices import draw_warp, moved, recorded, warp

SEEDS = st.integers(0, 2**32 - 1)


def clip(seed: int, steps: int = 120) -> Features:
    """Features of no voice in particular: a melody, voiced in parts, and a slowly changing envelope."""
    rng = np.random.default_rng(seed)
    melody = 5.0 + 0.2 * np.sin(np.arange(steps) / 17) + 0.02 * rng.normal(size=steps)
    voiced = np.sin(np.arange(steps) / 9) > -0.5
    loudness = np.where(voiced, 0.0, -3.0)[:, None]
    envelope = loudness - np.linspace(0, 4, BANDS) + 0.5 * rng.normal(size=(steps, BANDS))
    parts = (melody, voiced, 0.8 * voiced[:, None] * np.ones(4), envelope)
    return Features(*(np.asarray(part, np.float32) for part in parts))


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_a_recording_keeps_the_shape_and_the_ranges_of_features(seed: int) -> None:
    clean = clip(seed % 7)
    found = recorded(clean, np.random.default_rng(seed))
    for name, part in vars(found).items():
        assert part.shape == getattr(clean, name).shape and part.dtype == np.float32, name
        assert np.isfinite(part).all(), name
    assert set(np.unique(found.voiced)) <= {0.0, 1.0}
    assert ((found.voicing >= 0) & (found.voicing <= 1)).all()
    assert (found.envelope >= LOG_FLOOR - 1e-3).all()


@settings(deadline=None, max_examples=50)
@given(SEEDS)
def test_a_moved_clip_is_measured_as_the_speaker_it_was_moved_to(seed: int) -> None:
    rng = np.random.default_rng(seed)
    timbre = rng.normal(size=BANDS)
    to = Speaker(rng.uniform(4.3, 6.0), rng.uniform(0.05, 0.5), timbre - timbre.mean())
    clean = clip(seed % 7)
    found = speaker_of(moved(clean, speaker_of(clean), to))
    assert abs(found.level - to.level) < 1e-3
    assert abs(found.spread - to.spread) < 1e-3
    assert np.abs(found.timbre - to.timbre).max() < 1e-3


def test_a_warp_lasts_as_long_as_its_tempo_says() -> None:
    packed = np.random.default_rng(0).normal(size=(400, 6 + BANDS)).astype(np.float16)
    by = draw_warp(FLITE[0], np.random.default_rng(1))
    assert len(warp(packed, by).log_f0) == round(400 * by.tempo / 4) * 4


@given(SEEDS)
def test_pseudo_speakers_of_natural_teachers_lie_near_them_or_anywhere(seed: int) -> None:
    teacher = Teacher("am_adam", float(np.log(120)), 0.2, natural=True)
    by = draw_warp(teacher, np.random.default_rng(seed))
    assert 65 < 120 * np.exp(by.shift) < 335
    assert 0.05 < by.spread * teacher.spread < 0.45
    assert 0.79 < by.formants < 1.26


def test_a_built_in_voice_is_mostly_learned_as_it_is_played() -> None:
    rng = np.random.default_rng(1)
    teacher = Teacher("built-in:nora", 5.2, 0.2, natural=True, shift=0.92)
    drawn = [draw_warp(teacher, rng) for _ in range(400)]
    played = [by for by in drawn if by.formants == 0.92 and by.shift == np.log(0.92)]
    assert 0.5 < len(played) / len(drawn) < 0.7
    assert all(by.spread == 1 and np.all(by.tone == 0) and 0.85 < by.tempo < 1.17 for by in played)
