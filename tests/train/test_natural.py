"""From the teachers' durations to examples: what is said when, and what each frame is read from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from higgs.codecs.vocoder.v2.network import LEFT, UNREAD, VOICE_BOOK, WORDS, VocoderNetwork2
from higgs.prompts.pronunciation import NUMBER, SYMBOLS, Pronunciations
from higgs.prompts.v2 import PromptBuilder
from train.natural import Passage
from train.v2 import coded, features
from train.v2.examples import Examples
from train.v2.phones import timing
from train.v2.speakers import frame_symbols
from train.v2.tokenizer import build_config, build_tokenizer

WORDS_SAID = [("Hi", "hˈI", ""), (",", ",", " "), ("you", "ju", " "), ("read", "ɹˈid", ""), ("?", "?", "")]  # noqa: RUF001
PHONES = "".join(phones + space for _, phones, space in WORDS_SAID)
TABLE = Pronunciations({"hi": "hˈI", "you": "ju"})  # noqa: RUF001


def passage(seed: int = 0) -> Passage:
    """A sentence with durations, hummed at 120 Hz and hissed in its pauses."""
    rng = np.random.default_rng(seed)
    units = np.array([13, *rng.integers(2, 6, len(PHONES)), 4], np.uint8)
    time = np.arange(int(units.sum()) * 600) / 24_000
    hum = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 9))
    samples = (2000 * hum + rng.normal(0, 50, len(time))).astype(np.int16)
    return Passage("Hi, you read?", "am_adam", 1.0, PHONES, WORDS_SAID, units, samples)


def utterance(seed: int = 0) -> features.Utterance:
    found = features.analysed(passage(seed))
    assert found is not None
    return found


def test_symbols_begin_where_the_durations_say() -> None:
    said = passage()
    when = timing(said)
    assert when is not None
    names = [SYMBOLS[number] for number in when.symbols]
    assert names == ["pad", "h", "ˈI", ",", "j", "u", "ɹ", "ˈi", "d", "?"]  # noqa: RUF001
    # The stress belongs to its vowel, and so does its time; the space before "you" to the pause.
    units = np.concatenate([[0], np.cumsum(said.durations)])
    expected = {"h": units[1], "ˈI": units[2], ",": units[4], "j": units[6]}  # noqa: RUF001
    for name, unit in expected.items():
        assert when.begins[names.index(name)] + when.first == unit * 2.5
    assert 8 <= when.begins[1] < 9 and (np.diff(when.begins) >= 0).all()
    assert [said.text[a:b] for a, b in when.spans[1:]] == ["Hi", ",", "you", "read", "?"]


def test_a_passage_whose_words_are_not_its_text_is_left_out() -> None:
    said = passage()
    assert timing(Passage("Hi, you reed?", *list(vars(said).values())[1:])) is None


def test_every_symbol_has_a_frame_and_is_counted_down() -> None:
    for seed in range(5):
        of = utterance(seed)
        numbers, left, times = frame_symbols(of, 0.3)  # so fast that symbols are squeezed to a frame
        assert set(numbers) == set(range(len(of.timing.symbols)))
        assert len(times) == 4 * len(numbers) and (np.diff(times) >= 0).all()
        ends = np.flatnonzero(np.diff(numbers, append=-1))
        assert (left[ends] == 0).all()


def test_shards_of_features_and_codes_come_back_as_written(tmp_path: Path) -> None:
    spoken = [utterance(seed) for seed in range(3)]
    features.save(tmp_path / "0001.npz", spoken)
    again = features.load(tmp_path / "0001.npz")
    for one, other in zip(spoken, again, strict=True):
        assert (one.text, one.level) == (other.text, other.level)
        assert np.array_equal(one.envelope, other.envelope)
        assert np.array_equal(one.timing.begins, other.timing.begins)
    clips = [clip for clip in coded_clips(spoken)]
    coded.save(tmp_path / "coded.npz", clips)
    for clip, same in zip(clips, coded.load(tmp_path / "coded.npz"), strict=True):
        assert clip.text == same.text and clip.recorded == same.recorded
        assert np.array_equal(clip.codes, same.codes) and np.array_equal(clip.spans, same.spans)
        assert np.array_equal(clip.voice, same.voice)


def coded_clips(spoken: list[features.Utterance]) -> list[coded.Coded]:
    torch.manual_seed(0)
    encoder = coded.Encoder(VocoderNetwork2(), spoken, TABLE)
    return encoder.speaker(0, np.random.default_rng(0))


def test_each_frame_points_at_its_phone_or_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coded, "SPELLED_SHARE", 0.0)
    of = utterance()
    text, spans = coded.read_text(of, TABLE, np.random.default_rng(0))
    for symbol, (first, last) in zip(of.timing.symbols, spans, strict=True):
        name = SYMBOLS[symbol]
        if name in ("h", "ˈI", "j", "u"):  # noqa: RUF001
            assert first == last and ord(text[first]) - 0xE000 == NUMBER[name]
        if name in ("ɹ", "d"):
            assert ("r" if name == "ɹ" else "d") in text[first : last + 1]


def test_examples_speak_in_the_voice_of_their_reference(tmp_path: Path) -> None:
    coded.save(tmp_path / "0000.npz", coded_clips([utterance(seed) for seed in range(7)]))
    tokenizer = build_tokenizer()
    config = build_config(tokenizer, hidden=64, layers=1)
    builder = PromptBuilder(PreTrainedTokenizerFast(tokenizer_object=tokenizer), config)
    examples = Examples([tmp_path / "0000.npz"], builder, config)
    for seed in range(12):
        examples.seed(seed)
        example = examples.example(20.0)
        assert example is not None
        audio = example.columns[example.mask]
        voice = audio[:, VOICE_BOOK][audio[:, VOICE_BOOK] < 1024]
        parts = [voice[(voice >= low) & (voice < high)] for low, high in ((0, 256), (256, 640), (640, 1024))]
        assert all(len(codes.unique()) == 1 for codes in parts)
        read = example.columns[example.mask & example.learn][:, 0]
        told = read[(read < 1024) & (read != UNREAD)]
        assert len(told) and (told < len(SYMBOLS) * WORDS * LEFT).all()
        guided = example.letters[..., 0] >= 0
        assert guided.any() and (example.letters[guided].max(-1).values < example.mask.nonzero().max()).all()
