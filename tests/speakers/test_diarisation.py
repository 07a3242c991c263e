"""Who speaks when: turns of known truth, known speakers, one speaker, long recordings, and no speech."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.compact import compact
from errors import NotInstalled
from speakers.diarisation import (
    HOP_SECONDS,
    MAX_CLUSTERED,
    MIN_PHRASE_SECONDS,
    Diarisation,
    Turn,
    clustered,
    diarise,
    known_embedding,
    speakers_of,
)
from speakers.encoder import SAMPLE_RATE, WINDOW, weights_file
from speakers.segmentation import best_path, frames_of, similarities
from speakers.verifier import SpeakerVerifier
from tests.speakers.conversations import RATE, conversation, voice

needs_model = pytest.mark.skipif(
    weights_file() is None, reason="needs the package of requirements-weights.txt"
)
PARTS = (("hugo", 0, 3), ("clara", 0, 3.2), ("hugo", 3, 6), ("clara", 3.2, 6.5), ("hugo", 1, 1.7))


@pytest.fixture(scope="module")
def verifier() -> SpeakerVerifier:
    return SpeakerVerifier(weights_file())


@needs_model
def test_turns_of_two_and_a_short_word_between(verifier: SpeakerVerifier) -> None:
    samples, truth = conversation(*PARTS, ("clara", 0.5, 4))
    found = diarise(samples, RATE, verifier)
    speakers = [found.speaker(start, end) for _, start, end in truth]
    assert speakers == [speakers[0], speakers[1]] * 3 and speakers[0] != speakers[1]
    assert {turn.speaker for turn in found.turns} == {*speakers}
    for turn in found.turns:
        assert any(start - 0.1 < turn.start < turn.end < end + 0.3 for _, start, end in truth)


@needs_model
@pytest.mark.parametrize("name", ["arthur", "bruno", "clara", "edith", "hugo", "nora"])
def test_one_speaker_is_one_also_in_sixteen_bits(verifier: SpeakerVerifier, name: str) -> None:
    found = diarise(compact(voice(name)), RATE, verifier)
    assert len({turn.speaker for turn in found.turns}) == 1


@needs_model
def test_known_speakers_are_found_among_others(verifier: SpeakerVerifier) -> None:
    samples, truth = conversation(*PARTS)
    known = [known_embedding(voice(name)[: 4 * RATE], RATE, verifier) for name in ("edith", "clara", "hugo")]
    found = diarise(samples, RATE, verifier, known[:2])
    speakers = [found.speaker(start, end) for _, start, end in truth]
    assert speakers[1] == speakers[3] == 1 and min(speakers[0], speakers[2]) >= 2
    both = diarise(samples, RATE, verifier, known)
    assert [both.speaker(start, end) for _, start, end in truth[:4]] == [2, 1, 2, 1]


@needs_model
@pytest.mark.parametrize("size", [0, 100, RATE])
def test_where_nobody_speaks_there_are_no_turns(verifier: SpeakerVerifier, size: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, size).astype(np.float32)
    found = diarise(noise, RATE, verifier)
    assert found.turns == () and found.speaker(0, 1) == 0


class Flat(SpeakerVerifier):
    """To whom all sound alike."""

    def encode(self, cut: np.ndarray) -> np.ndarray:
        assert SAMPLE_RATE * MIN_PHRASE_SECONDS * 0.9 <= cut.shape[1] <= WINDOW
        return np.eye(256, dtype=np.float32)[np.zeros(len(cut), int)]


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 24_000])
@pytest.mark.parametrize("offset", [0, 1, 77])
def test_windows_have_their_size_wherever_they_lie(rate: int, offset: int) -> None:
    found = diarise(voice("clara")[offset:], rate, Flat(None))
    assert {turn.speaker for turn in found.turns} == {0}


def test_without_the_model_it_says_so() -> None:
    with pytest.raises(NotInstalled):
        diarise(voice("hugo"), RATE, SpeakerVerifier(None))


@pytest.mark.parametrize("count", [1, MAX_CLUSTERED + 1, 9_000])
def test_of_a_long_recording_only_so_many_windows_are_clustered(count: int) -> None:
    starts = np.arange(count) * HOP_SECONDS
    cut = np.stack([starts, starts + 1.6, np.full(count, HOP_SECONDS)], axis=1)
    taken = clustered(cut)
    assert min(count, MAX_CLUSTERED // 2) <= len(taken) <= MAX_CLUSTERED
    assert len(clustered(cut - [[0, 1.5, 0]])) == len(taken)  # short windows, where there are no others
    if count <= MAX_CLUSTERED // 2:
        return
    alternating = np.arange(count) // 50 % 2
    numbers, means = speakers_of(np.eye(256, dtype=np.float32)[alternating], cut, ())
    assert len(numbers) == len(means) == 2


def test_a_word_in_a_pause_belongs_to_the_nearest_turn() -> None:
    found = Diarisation([Turn(1, 2, 0), Turn(2, 3, 1), Turn(5, 6, 2)])
    asked = {(0, 0.5): 0, (1, 2): 0, (1.8, 2.9): 1, (3.1, 3.5): 1, (4.6, 4.9): 2, (2.9, 5.5): 2, (9, 10): 2}
    assert {span: found.speaker(*span) for span in asked} == asked


@given(st.lists(st.tuples(st.floats(0.01, 3), st.floats(0.01, 2), st.integers(0, 3)), max_size=8), st.data())
def test_any_word_has_the_speaker_of_some_turn(
    turns: list[tuple[float, float, int]], data: st.DataObject
) -> None:
    at, made = 0.0, []
    for pause, length, speaker in turns:
        made.append(Turn(at + pause, at + pause + length, speaker))
        at += pause + length
    start = data.draw(st.floats(-1, 50))
    found = Diarisation(made).speaker(start, start + data.draw(st.floats(0, 5)))
    assert found in {speaker for _, _, speaker in turns} | ({0} if not turns else set())


def test_a_change_of_speakers_has_its_price() -> None:
    similarity = np.array([[1.0, 0.0]] * 5 + [[0.9, 1.0]] + [[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    pauses = np.zeros(len(similarity), bool)
    assert best_path(similarity, pauses).tolist() == [0] * 11 + [1] * 5


def test_frames_lie_in_their_phrases_and_hear_the_windows_around_them() -> None:
    frames, firsts = frames_of([(0.0, 1.0), (2.0, 2.04), (3.0, 3.5)])
    assert len(frames) == 16 and np.flatnonzero(firsts).tolist() == [0, 10, 11]
    windows = np.array([[0.0, 1.0], [2.0, 2.04], [3.0, 3.5]])
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found = similarities(frames, windows, scores)
    assert (found.argmax(axis=1) == np.array([0] * 10 + [1] + [0] * 5)).all()
