"""The neural teachers' passages as utterances of the first codec."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from train.examples import share_of
from train.natural import Passage
from train.natural_speech import PHONE_OF, SENTENCE_ENDS, utterances_of
from train.reading import SOUND_OF_PHONE, phones_of, reading
from train.speech import ODD, PHONES, Utterance, begins_of, load_shard, save_shard

SENTENCES = (
    [("Her", "hˈɜɹ", " "), ("father", "fˈɑðəɹ", " "), ("ran", "ɹˈæn", ""), (".", ".", " ")],  # noqa: RUF001
    [("Around", "əɹˈWnd", " "), ("better", "bˈɛTəɹ", " "), ("trees", "tɹˈiz", ""), ("?", "?", "")],  # noqa: RUF001
)
SAID = [
    ["pau", "hh", "er", "f", "aa", "dh", "er", "r", "ae", "n", "pau"],
    ["pau", "ah", "r", "aw", "n", "d", "b", "eh", "t", "er", "t", "r", "iy", "z", "pau"],
]


def passage(sentences: int, pause: int = 12, seed: int = 0) -> Passage:
    """So many sentences hummed at 120 Hz, each phone 75 to 150 ms, each mark a pause of so many units."""
    rng = np.random.default_rng(seed)
    words = [word for number in range(sentences) for word in SENTENCES[number % 2]]
    words = [(word, said, " " if word in "?" else space) for word, said, space in words]
    phones = "".join(said + space for _, said, space in words).strip()
    units = [
        pause if sign in SENTENCE_ENDS else 1 if sign == " " else int(rng.integers(3, 7)) for sign in phones
    ]
    durations = np.array([13, *units, 10], np.uint8)
    time = np.arange(int(durations.sum()) * 600) / 24_000
    hum = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 9))
    samples = (2000 * hum + rng.normal(0, 50, len(time))).astype(np.int16)
    text = "".join(word + space for word, _, space in words).strip()
    return Passage(text, "am_adam", 1.0, phones, words, durations, samples)


def names(utterance: Utterance) -> list[str]:
    return [PHONES[phone] for phone in phones_of(utterance)]


def whole(utterance: Utterance) -> None:
    """Phones, steps, letters and features of an utterance belong together."""
    assert len(utterance.letters) == len(begins_of(utterance.phones)) == len(phones_of(utterance))
    assert len(utterance.features) == len(utterance.phones) and len(utterance.phones) % 4 == 0
    assert (utterance.letters >= 0).all() and (utterance.letters < len(utterance.text)).all()
    assert (np.diff(utterance.letters) >= 0).all()
    assert (reading(utterance, utterance.frames) < 1000).all()


def test_passages_are_said_in_the_phones_of_the_codec() -> None:
    (found,) = utterances_of([passage(1)], seed=1)
    whole(found)
    assert names(found) == SAID[0]
    letters = "".join(found.text[int(letter)] for letter in found.letters)
    assert letters[1:-1].lower() == "hefathehran" or letters[1] == "H"
    assert found.text[int(found.letters[-1])] == "."


def test_every_phone_of_the_teachers_is_one_of_the_codecs() -> None:
    assert set(PHONE_OF.values()) <= set(PHONES)
    sounds = {SOUND_OF_PHONE[PHONES.index(phone)] for phone in PHONE_OF.values()}
    assert len(sounds) == SOUND_OF_PHONE.max()  # all but the pause


def test_a_passage_is_cut_between_its_sentences() -> None:
    counts = set[int]()
    for seed in range(6):
        spoken = utterances_of([passage(6, seed=seed)], seed)
        counts.add(len(spoken))
        assert " ".join(found.text for found in spoken) == passage(6).text
        for found in spoken:
            whole(found)
        said = [phone for found in spoken for phone in names(found) if phone != "pau"]
        expected = [phone for number in range(6) for phone in SAID[number % 2] if phone != "pau"]
        assert said == expected
    assert len(counts) > 1  # short and long ones


def test_sentences_without_a_pause_between_them_stay_together() -> None:
    assert len(utterances_of([passage(4, pause=1)], seed=2)) == 1


def test_what_one_style_says_in_a_shard_is_one_teachers() -> None:
    first, second = utterances_of([passage(1), passage(1, seed=1)], seed=3)
    assert first.teacher == second.teacher and first.teacher.natural
    assert abs(np.exp(first.teacher.level) - 120) < 2


def test_a_shard_comes_back_as_written(tmp_path: Path) -> None:
    spoken = utterances_of([passage(3, seed=seed) for seed in range(3)], 4)
    save_shard(tmp_path / "0001.npz", spoken)
    for one, other in zip(spoken, load_shard(tmp_path / "0001.npz"), strict=True):
        assert (one.text, one.teacher) == (other.text, other.teacher)
        for name in ("features", "phones", "letters"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_phones_that_follow_their_like_are_told_apart() -> None:
    (found,) = utterances_of([passage(1)], seed=5)
    marks = found.phones[begins_of(found.phones)] // ODD
    assert (np.diff(marks.astype(int)) != 0).all()


def test_built_in_voices_are_drawn_more_often_than_others() -> None:
    (one,) = utterances_of([passage(1)], seed=1)
    (built_in,) = utterances_of([replace(passage(1), style="built-in:nora", shift=0.92)], seed=1)
    assert built_in.teacher.shift == 0.92 and one.teacher.shift is None
    assert share_of([built_in] * 5) == 4 * share_of([one] * 5)
