"""The second codec: that it streams without a seam, codes a voice once, and reaches to 12 kHz."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.frames import CODEBOOKS, HOP, SAMPLE_RATE
from higgs.codecs.base import load_codec
from higgs.codecs.vocoder.analysis import analyse
from higgs.codecs.vocoder.bands import WIDE
from higgs.codecs.vocoder.speaker import speaker_of
from higgs.codecs.vocoder.synthesis import synthesise
from higgs.codecs.vocoder.v2.codec import VocoderCodec2, encode_clips
from higgs.codecs.vocoder.v2.network import (
    LEFT,
    SYMBOLS,
    UNREAD,
    VOICE_BOOK,
    VOICE_PARTS,
    WORDS,
    VocoderNetwork2,
    reading_code,
)
from tests.higgs.test_vocoder import assert_chunks_are_the_whole, clip, pulses
from train.v2.codec import save


@pytest.fixture(scope="module")
def codec() -> VocoderCodec2:
    torch.manual_seed(0)
    return VocoderCodec2(VocoderNetwork2())


@given(frames=st.integers(1, 60), cuts=st.lists(st.integers(0, 20), max_size=8), seed=st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_decoding_in_chunks_is_decoding_of_the_whole(
    codec: VocoderCodec2, frames: int, cuts: list[int], seed: int
) -> None:
    codes = torch.randint(1024, (CODEBOOKS, frames), generator=torch.Generator().manual_seed(seed))
    assert_chunks_are_the_whole(codec, codes, cuts)


def test_a_voice_is_told_in_turn_by_codes_of_their_own(codec: VocoderCodec2) -> None:
    codes = codec.encode(clip())
    assert codes.shape == (CODEBOOKS, len(clip()) // HOP) and (codes[0] == UNREAD).all()
    voice = [row.unique() for row in (codes[VOICE_BOOK, part::VOICE_PARTS] for part in range(VOICE_PARTS))]
    assert [len(codes) for codes in voice] == [1, 1, 1]
    pitch, first, second = (int(codes[0]) for codes in voice)
    assert 0 <= pitch < 255 and 256 <= first < 640 and 640 <= second < 1024


def test_encoding_alone_is_encoding_beside_others(codec: VocoderCodec2) -> None:
    clips = [analyse(pulses(120.0, 0.5), WIDE), analyse(pulses(200.0, 1.1), WIDE)]
    voices = torch.stack([codec.network.voice_codes(speaker_of(part)) for part in clips])
    together = encode_clips(codec.network, clips, voices)
    for features, voice, codes in zip(clips, voices, together, strict=True):
        assert torch.equal(encode_clips(codec.network, [features], voice[None])[0], codes)


def test_what_lies_above_8_khz_is_kept() -> None:
    """The first codec ends at 8 kHz; a hiss between 9 and 11 must come through analysis and synthesis."""
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    again = synthesise(analyse(noise, WIDE), WIDE)
    power = [np.square(np.abs(np.fft.rfft(part))[9_000:11_000]).mean() for part in (noise, again)]
    assert power[1] == pytest.approx(power[0], rel=0.2)


def test_codes_of_reading_stay_below_the_unread() -> None:
    assert reading_code(SYMBOLS - 1, WORDS - 1, LEFT + 3) < UNREAD
    assert reading_code(3, 2, 9) == reading_code(3, 0, LEFT - 1)


def test_a_folder_is_loaded_by_what_its_config_says(tmp_path: Path) -> None:
    save(VocoderNetwork2(), tmp_path)
    assert isinstance(load_codec(str(tmp_path)), VocoderCodec2)
