"""Making a recording fit to be a reference: what is refused, what is cut away, what is left alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio.decode import decode_audio
from audio.frames import HOP, SAMPLE_RATE
from audio.reference import PreparedReference, prepare_reference
from errors import InvalidAudio
from higgs.codecs.vocoder.analysis import analyse
from higgs.codecs.vocoder.synthesis import synthesise
from tests.audio.media import RECORDING, recording

PEOPLE = Path(__file__).resolve().parents[3] / "shared" / "voices"


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def speech(seconds: float) -> np.ndarray:
    """The clip over and over, without its own silent ends."""
    clip = prepare_reference(recording()).samples
    return np.resize(clip, int(seconds * SAMPLE_RATE))


def loudest_tenth(samples: np.ndarray) -> float:
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    return float(10 * np.log10(np.percentile(np.mean(frames**2, axis=1), 90)))


def code_of(samples: np.ndarray) -> str | None:
    with pytest.raises(InvalidAudio) as caught:
        prepare_reference(samples)
    return caught.value.code


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (speech(0.2), "audio_too_short"),
        (np.zeros(0, np.float32), "audio_too_short"),
        (np.concatenate([silence(2), speech(0.3), silence(2)]), "audio_too_short"),
        (silence(5), "audio_silent"),
        (silence(5) + 0.3, "audio_silent"),
        (np.random.default_rng(0).normal(0, 3e-5, 5 * SAMPLE_RATE).astype(np.float32), "audio_silent"),
        (np.where(np.arange(48_000) == 9, np.nan, speech(2)), "audio_not_finite"),
    ],
)
def test_what_can_not_be_a_reference_is_refused(samples: np.ndarray, code: str) -> None:
    assert code_of(samples) == code


def check_shape(prepared: PreparedReference, source: np.ndarray) -> None:
    assert prepared.samples.dtype == np.float32
    assert len(prepared.samples) % HOP == 0
    assert SAMPLE_RATE <= len(prepared.samples) <= 30 * SAMPLE_RATE
    assert prepared.source_seconds == len(source) / SAMPLE_RATE
    used = prepared.end_seconds - prepared.start_seconds
    assert used == pytest.approx(len(prepared.samples) / SAMPLE_RATE)


@pytest.mark.parametrize("seconds", [1.0, 1.5, 3.21, 29.99])
def test_ordinary_speech_is_used_as_it_was_recorded(seconds: float) -> None:
    samples = speech(seconds)
    prepared = prepare_reference(samples)
    check_shape(prepared, samples)
    assert not prepared.trimmed
    assert len(prepared.samples) / SAMPLE_RATE > 0.95 * seconds - 0.3
    start = round(prepared.start_seconds * SAMPLE_RATE)
    np.testing.assert_array_equal(prepared.samples, samples[start : start + len(prepared.samples)])


def test_silence_before_and_after_goes_but_for_a_breath() -> None:
    samples = np.concatenate([silence(3), speech(4), silence(5)])
    prepared = prepare_reference(samples)
    check_shape(prepared, samples)
    assert not prepared.trimmed
    assert 2.85 <= prepared.start_seconds <= 3.05
    assert 6.9 <= prepared.end_seconds <= 7.25


def test_an_offset_of_the_microphone_is_not_sound() -> None:
    samples = np.concatenate([silence(3), speech(4) + 0.01, silence(5)])
    assert 2.85 <= prepare_reference(samples).start_seconds <= 3.05


def test_silence_is_kept_where_the_speech_alone_would_be_too_short() -> None:
    for samples in ([speech(0.7), silence(0.8)], [silence(0.8), speech(0.7)], [silence(3), speech(0.7)]):
        source = np.concatenate(samples)
        prepared = prepare_reference(source)
        check_shape(prepared, source)
        assert prepared.samples.any()


def test_the_silence_of_a_noisy_room_goes_too() -> None:
    samples = np.concatenate([silence(3), speech(4), silence(5)])
    samples += np.random.default_rng(0).normal(0, 5e-4, len(samples)).astype(np.float32)
    prepared = prepare_reference(samples)
    assert 2.85 <= prepared.start_seconds <= 3.05
    assert 6.9 <= prepared.end_seconds <= 7.25


def test_a_long_recording_is_cut_at_its_last_pause_before_30_s() -> None:
    samples = np.concatenate([speech(18), silence(0.6), speech(7), silence(0.6), speech(20)])
    prepared = prepare_reference(samples)
    check_shape(prepared, samples)
    assert prepared.trimmed
    assert 25.5 <= prepared.end_seconds <= 26.2


def test_without_a_pause_the_quietest_moment_is_taken() -> None:
    hum = np.sin(np.arange(40 * SAMPLE_RATE) * 0.05).astype(np.float32) * 0.2
    quiet = slice(21 * SAMPLE_RATE, 22 * SAMPLE_RATE)
    hum[quiet] /= 4
    voiced = np.concatenate([speech(15), hum[15 * SAMPLE_RATE :]])
    prepared = prepare_reference(voiced)
    check_shape(prepared, voiced)
    assert prepared.trimmed
    assert 21 <= prepared.end_seconds <= 22


@pytest.mark.parametrize("longest", [6.0, 10.0, 12.0])
def test_no_more_is_used_than_the_model_follows(longest: float) -> None:
    samples = np.concatenate([speech(4.5), silence(0.5), speech(20)])
    prepared = prepare_reference(samples, longest)
    assert prepared.trimmed and longest / 2 <= len(prepared.samples) / SAMPLE_RATE <= longest


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


def tones(*hertz: float, seconds: float = 8.0) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sum([0.2 * np.sin(2 * np.pi * f * time) for f in hertz], axis=0).astype(np.float32)


def dialled() -> np.ndarray:
    """Ten digits of a telephone's keys, each 0.1 s and 0.1 s of silence behind it."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    keys = [tones(rows[n % 4], columns[n % 3], seconds=0.1) for n in range(40)]
    return np.concatenate([part for key in keys for part in (key, silence(0.1))])


def clicks(each: float) -> np.ndarray:
    samples = silence(8)
    samples[:: int(each * SAMPLE_RATE)] = 0.8
    return samples


def drums() -> np.ndarray:
    hit = noise(0.25) * np.exp(-30 * np.arange(6000) / SAMPLE_RATE).astype(np.float32) * 3
    return np.tile(hit, 32)


@pytest.mark.parametrize(
    "samples",
    [
        noise(8),
        noise(8) * (np.sin(np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE * 25) > 0),
        tones(440.0),
        tones(50.0, 150.0),
        np.tile(np.concatenate([tones(440.0, seconds=0.25), silence(0.25)]), 16),
        tones(220.0, 277.2, 329.6),
        dialled(),
        clicks(0.5),
        clicks(0.05),
        drums(),
        noise(100),
    ],
    ids=[
        "noise",
        "gated noise",
        "tone",
        "hum",
        "beeps",
        "chord",
        "DTMF",
        "clicks",
        "rattle",
        "drums",
        "long",
    ],
)
def test_where_nobody_speaks_is_no_reference(samples: np.ndarray) -> None:
    """Kind: a sound without a voice was cloned, and the answer was garbage under status 200."""
    assert code_of(samples.astype(np.float32)) == "audio_no_speech"


def whispered(samples: np.ndarray) -> np.ndarray:
    """The speech without its voice: the envelope of its spectra in noise."""
    found = analyse(samples)
    return synthesise(replace(found, voiced=0 * found.voiced, voicing=0 * found.voicing))


def by_telephone(samples: np.ndarray) -> np.ndarray:
    spectrum, hertz = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum * ((hertz > 300) & (hertz < 3400)), len(samples)).astype(np.float32)


@pytest.mark.parametrize(
    "changed",
    [
        lambda samples: samples,
        whispered,
        by_telephone,
        lambda samples: samples * np.float32(0.01),
        lambda samples: samples + noise(30)[: len(samples)] * np.sqrt((samples**2).mean()) / 0.1,
        lambda samples: by_telephone(samples + noise(30)[: len(samples)] / 10),
        lambda samples: np.clip(6 * samples / np.abs(samples).max(), -1, 1),
        lambda samples: samples[SAMPLE_RATE : 2 * SAMPLE_RATE + 12_000],
    ],
    ids=["plain", "whispered", "telephone", "soft", "noise as loud", "noisy telephone", "clipped", "short"],
)
@pytest.mark.parametrize("voice", [RECORDING, *sorted(PEOPLE.glob("*.wav"))], ids=lambda path: path.stem)
def test_whoever_speaks_is_taken(voice: Path, changed: Callable[[np.ndarray], np.ndarray]) -> None:
    prepared = prepare_reference(changed(decode_audio(voice.read_bytes())).astype(np.float32))
    assert len(prepared.samples) >= SAMPLE_RATE


def test_speech_behind_half_a_minute_of_music_is_found() -> None:
    """Kind: the part that is used holds no voice, though the recording does."""
    samples = np.concatenate([tones(220.0, 277.2, 329.6, seconds=32), speech(20)])
    prepared = prepare_reference(samples, 10.0)
    assert prepared.trimmed and 31 <= prepared.start_seconds <= 33
    assert 36 < prepared.end_seconds <= 43 and prepared.source_seconds == 52


def test_half_a_second_of_speech_in_a_long_silence_is_not_called_silence() -> None:
    samples = np.concatenate([silence(20), speech(1.2), silence(20)])
    prepared = prepare_reference(samples)
    check_shape(prepared, samples)
    assert not prepared.trimmed
    assert 19.8 <= prepared.start_seconds <= 20.1


@pytest.mark.parametrize("gain", [0.01, 3.0, 30_000.0])
def test_a_level_far_off_is_brought_into_the_usual_range(gain: float) -> None:
    prepared = prepare_reference(speech(4) * np.float32(gain))
    assert -36 < loudest_tenth(prepared.samples) < -6
    assert np.abs(prepared.samples).max() <= 1
