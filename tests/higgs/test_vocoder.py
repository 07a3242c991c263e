"""The bundled model's codec: what it measures, that it streams without a seam, and that the words stay."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.frames import CODEBOOKS, HOP, SAMPLE_RATE
from errors import StartError
from higgs.codecs.base import Codec, decode
from higgs.codecs.vocoder.analysis import STEP, analyse
from higgs.codecs.vocoder.codec import VocoderCodec, encode_clips, voice_codes
from higgs.codecs.vocoder.network import UNREAD, VOICE_BOOKS, VocoderNetwork
from higgs.codecs.vocoder.speaker import Speaker, pitch_code, pitch_of_codes, speaker_of
from higgs.codecs.vocoder.synthesis import KNEE, Synthesis, limited, synthesise

CLIP = Path(__file__).parents[2] / "test_audio.wav"


def clip() -> np.ndarray:
    samples, rate = soundfile.read(CLIP, dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


def pulses(hertz: float, seconds: float = 1.0) -> np.ndarray:
    """A voice of one pitch: a pulse train through a resonance."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    train = np.diff(np.floor(time * hertz), prepend=0.0)
    ring = np.exp(-400 * time[:400]) * np.sin(2 * np.pi * 700 * time[:400])
    return (0.3 * np.convolve(train, ring)[: len(time)]).astype(np.float32)


@pytest.fixture(scope="module")
def codec() -> VocoderCodec:
    torch.manual_seed(0)
    return VocoderCodec(VocoderNetwork())


@pytest.mark.parametrize("hertz", [80.0, 133.0, 220.0, 391.0])
def test_pitch_of_a_pulse_train_is_found(hertz: float) -> None:
    features = analyse(pulses(hertz))
    assert features.voiced[5:-5].mean() > 0.95
    assert np.exp(np.median(features.log_f0)) == pytest.approx(hertz, rel=0.01)


def test_noise_and_silence_are_unvoiced() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    assert analyse(noise).voiced.mean() < 0.1
    assert analyse(np.zeros(SAMPLE_RATE, np.float32)).voiced.sum() == 0


@pytest.mark.parametrize("hertz", [90.0, 200.0, 300.0])
def test_there_is_no_sound_below_the_voice(hertz: float) -> None:
    again = synthesise(analyse(pulses(hertz)))[2400:-2400]
    power = np.abs(np.fft.rfft(again * np.hanning(len(again)))) ** 2
    at = np.fft.rfftfreq(len(again), 1 / SAMPLE_RATE)
    below, fundamental = power[at < 0.4 * hertz].max(), power[np.abs(at - hertz) < 0.1 * hertz].max()
    assert below < fundamental / 300


def test_a_noisy_room_makes_no_voice_hoarse() -> None:
    """Room and noise read as low voicing; what is spoken in voiced steps must stay periodic all the same."""
    features = replace(analyse(pulses(120.0)), voicing=np.zeros((100, 4), np.float32))
    again = synthesise(features)[2400:-2400]
    power = np.abs(np.fft.rfft(again * np.hanning(len(again)))) ** 2
    at = np.fft.rfftfreq(len(again), 1 / SAMPLE_RATE)
    low = (at > 100) & (at < 1000)
    harmonic = np.abs(at / 120 - np.round(at / 120)) < 0.1
    assert power[low & harmonic].sum() > 30 * power[low & ~harmonic].sum()


def test_noise_is_as_loud_as_it_was() -> None:
    """Pieces of noise that overlap share their samples: added by powers, they came out 1.8 dB too loud."""
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    again = synthesise(analyse(noise))
    power = [np.square(np.abs(np.fft.rfft(part))[2_000:14_000]).mean() for part in (noise, again)]
    assert power[1] == pytest.approx(power[0], rel=0.12)


def test_features_survive_synthesis() -> None:
    features = analyse(clip())
    again = analyse(synthesise(features))
    both = (features.voiced > 0.5) & (again.voiced > 0.5)
    assert np.median(np.abs(features.log_f0 - again.log_f0)[both]) < 0.02
    loud = features.envelope.mean(1) > features.envelope.mean(1).max() - 5
    assert np.abs(features.envelope - again.envelope)[loud].mean() < 0.8


def test_loud_syllables_are_bent_not_clipped() -> None:
    samples = np.linspace(-3, 3, 601)
    found = limited(samples)
    quiet = np.abs(samples) <= KNEE
    assert np.array_equal(found[quiet], samples[quiet])
    assert np.abs(found).max() <= 1 and (np.diff(found[np.abs(samples) < 1.5]) > 0).all()
    assert np.abs(np.diff(found)).max() <= 0.01 + 1e-9  # no step at the knee
    assert np.allclose(found, -found[::-1])


@given(cuts=st.lists(st.integers(1, 40), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None)
def test_synthesis_in_pieces_is_synthesis_of_the_whole(cuts: list[int]) -> None:
    features = analyse(pulses(150.0, 0.6))
    whole = synthesise(features)
    stream, pieces, start, steps = Synthesis(), [], 0, len(features.log_f0)
    for cut in [*cuts, steps]:
        stop = min(start + cut, steps)
        if stop > start:
            part = type(features)(*(rows[start:stop] for rows in vars(features).values()))
            pieces.append(stream.push(part, last=stop == steps))
        start = stop
    assert len(whole) == steps * STEP
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


def assert_chunks_are_the_whole(codec: Codec, codes: torch.Tensor, cuts: list[int]) -> None:
    """Codes (8, T) decoded in chunks of these lengths, and the rest, are those decoded at once."""
    whole = decode(codec, codes)
    decoder, chunks, start = codec.decoder(), [], 0
    for cut in cuts:
        chunks.append(decoder.push(codes[:, start : start + cut]))
        start = min(start + cut, codes.shape[1])
    chunks.append(decoder.push(codes[:, start:], last=True))
    assert len(whole) == codes.shape[1] * HOP
    np.testing.assert_allclose(np.concatenate(chunks), whole, atol=1e-6 * max(1.0, np.abs(whole).max()))


@given(frames=st.integers(1, 60), cuts=st.lists(st.integers(0, 20), max_size=8), seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_decoding_in_chunks_is_decoding_of_the_whole(
    codec: VocoderCodec, frames: int, cuts: list[int], seed: int
) -> None:
    codes = torch.randint(1024, (CODEBOOKS, frames), generator=torch.Generator().manual_seed(seed))
    codes[VOICE_BOOKS] = codes[VOICE_BOOKS, :1]
    assert_chunks_are_the_whole(codec, codes, cuts)


def test_a_voice_is_one_code_per_codebook(codec: VocoderCodec) -> None:
    codes = codec.encode(clip())
    assert codes.shape == (CODEBOOKS, len(clip()) // HOP)
    assert codes.dtype == torch.int64
    assert all(len(row.unique()) == 1 for row in codes[VOICE_BOOKS])
    assert (codes[0] == UNREAD).all()


def test_encoding_alone_is_encoding_beside_others(codec: VocoderCodec) -> None:

    clips = [analyse(pulses(120.0, 0.5)), analyse(pulses(200.0, 1.1))]
    voices = torch.stack([voice_codes(codec.network, speaker_of(part)) for part in clips])
    together = encode_clips(codec.network, clips, voices)
    for features, voice, codes in zip(clips, voices, together, strict=True):
        assert torch.equal(encode_clips(codec.network, [features], voice[None])[0], codes)


@given(level=st.floats(4.05, 6.15), spread=st.floats(0.055, 0.45))
def test_pitch_codes_are_within_a_third_of_a_semitone(level: float, spread: float) -> None:
    code = pitch_code(Speaker(level, spread, np.zeros(64)))
    assert 0 <= code < 1024
    decoded_level, decoded_spread = pitch_of_codes(np.array(code))
    assert abs(decoded_level - level) * 12 / np.log(2) < 0.31
    assert 0.9 < decoded_spread / spread < 1.1


@pytest.mark.parametrize("samples", [0, 500, 959, 960, 2000])
def test_short_and_silent_clips_are_encoded(codec: VocoderCodec, samples: int) -> None:
    assert codec.encode(np.zeros(samples, np.float32)).shape == (CODEBOOKS, samples // HOP)


def test_a_folder_of_another_codec_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "something_else"}')
    with pytest.raises(StartError, match="something_else"):
        VocoderCodec.load(tmp_path)
