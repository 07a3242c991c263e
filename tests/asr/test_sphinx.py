"""pocketsphinx on real speech: a man, a woman, and a synthesiser."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.transcriber import Transcriber, load_recogniser
from asr.transcript import Task
from asr.words import word_error_rate
from errors import InvalidRequest
from tests.audio.media import SENTENCE, sentence
from tests.live import ROOT

PEOPLE = ROOT.parent / "shared" / "voices"


@pytest.fixture(scope="module")
def transcriber() -> Iterator[Transcriber]:
    transcriber = Transcriber(lambda: load_recogniser("pocketsphinx", "cpu"))
    yield transcriber
    transcriber.close()


def speech(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 24_000
    return samples


CLIP, CLIP_WORDS = speech(ROOT / "test_audio.wav"), (ROOT / "test_audio.txt").read_text()


@pytest.mark.skipif(not PEOPLE.is_dir(), reason="the recordings of people are not part of the project")
@pytest.mark.parametrize("name", ["en_man", "en_woman"])
def test_people_are_understood(transcriber: Transcriber, name: str) -> None:
    said = (PEOPLE / f"{name}.txt").read_text()
    heard = transcriber.transcribe(speech(PEOPLE / f"{name}.wav"), 24_000)
    assert word_error_rate(said, heard.text) <= 0.15


def test_words_have_times_and_probabilities(transcriber: Transcriber) -> None:
    heard = transcriber.transcribe(CLIP, 24_000)
    assert word_error_rate(CLIP_WORDS, heard.text) <= 0.2
    assert heard.language == "en" and heard.seconds == pytest.approx(len(CLIP) / 24_000)
    assert heard.text.split() == [word.text for word in heard.words]
    edges = [edge for word in heard.words for edge in (word.start, word.end)]
    assert edges == sorted(edges) and edges[0] >= 0 and edges[-1] <= heard.seconds
    assert all(0 < word.probability <= 1 for word in heard.words)


def test_what_is_heard_does_not_depend_on_what_was_heard_before(transcriber: Transcriber) -> None:
    first = transcriber.transcribe(sentence(), 24_000)
    noise = np.random.default_rng(0).normal(0, 0.05, 24_000).astype(np.float32)
    transcriber.transcribe(noise, 24_000)
    assert transcriber.transcribe(sentence(), 24_000) == first


def test_times_count_from_the_start_of_the_recording(transcriber: Transcriber) -> None:
    """The same words behind 4 s of silence are heard 4 s later."""
    early = transcriber.transcribe(sentence(), 24_000)
    late = transcriber.transcribe(np.concatenate([np.zeros(4 * 24_000, np.float32), sentence()]), 24_000)
    assert late.text == early.text
    assert late.words[0].start == pytest.approx(early.words[0].start + 4, abs=0.1)


def test_a_long_recording_is_heard_in_windows(transcriber: Transcriber) -> None:
    pause = np.zeros(8 * 24_000, np.float32)
    parts = list(transcriber.submit(np.concatenate([sentence(), pause] * 4), 24_000))
    assert len(parts) > 1
    heard = "".join(part.text for part in parts)
    assert word_error_rate(f"{SENTENCE} " * 4, heard) <= 0.2
    assert parts[-1].segments[-1].end <= 4 * (len(sentence()) / 24_000 + 8)


@pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")
def test_a_synthesiser_is_understood(transcriber: Transcriber, tmp_path: Path) -> None:
    said = "The children walked along the river and looked for their little brother."
    subprocess.run(["flite", "-voice", "slt", "-t", said, "-o", tmp_path / "said.wav"], check=True)
    samples, rate = soundfile.read(tmp_path / "said.wav", dtype="float32")
    assert word_error_rate(said, transcriber.transcribe(samples, rate).text) <= 0.2


def test_nobody_speaks(transcriber: Transcriber) -> None:
    assert transcriber.transcribe(np.zeros(48_000, np.float32), 24_000).segments == ()
    assert transcriber.transcribe(np.zeros(0, np.float32), 24_000).text == ""


def test_another_language_is_refused_with_the_remedy(transcriber: Transcriber) -> None:
    with pytest.raises(InvalidRequest, match=r"HIGGS_RECOGNISER.*Whisper") as refused:
        transcriber.transcribe(CLIP, 24_000, Task(language="de"))
    assert (refused.value.code, refused.value.param) == ("unsupported_language", "language")


def test_other_threads_go_on_while_it_listens(transcriber: Transcriber) -> None:
    """pocketsphinx would hold Python's lock for seconds; in a process of its own it doesn't."""
    ticks = [time.monotonic()]
    work = threading.Thread(target=transcriber.transcribe, args=(CLIP, 24_000))
    work.start()
    while work.is_alive():
        time.sleep(0.01)
        ticks.append(time.monotonic())
    assert len(ticks) > 10 and np.median(np.diff(ticks)) < 0.2
