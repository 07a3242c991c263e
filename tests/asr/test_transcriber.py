"""The listener around its recogniser: loaded late, one window at a time, cancelled, refused, mended."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from api.errors import error_response
from asr.checkpoint import check_recogniser
from asr.sphinx import Sphinx
from asr.transcriber import Transcriber, load_recogniser
from asr.transcript import Segment, Span, Task, WindowTranscript
from errors import Cancelled, ModelError, Overloaded, RecogniserMissing, StartError
from tests.asr.tiny_whisper import write_tiny_whisper
from tests.audio.media import recording

LONG = np.random.default_rng(0).normal(0, 0.1, 70 * 16_000).astype(np.float32)


class Parrot:
    """A recogniser that tells which languages it was asked for, and waits where it is told to."""

    name, translates, expected_wer = "parrot", False, 0.5

    def __init__(self) -> None:
        self.languages = {"en": "english", "de": "german"}
        self.asked: list[str | None] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.closed = False

    def align(self, samples: np.ndarray, words: Sequence[str]) -> list[Span | None]:
        return [None] * len(words)

    def transcribe(self, samples: np.ndarray, task: Task) -> WindowTranscript:
        assert len(samples) <= 30 * 16_000
        self.asked.append(task.language)
        assert self.may_go_on.wait(10)
        return WindowTranscript(task.language or "de", (Segment(" so", 0.0, 1.0),))

    def close(self) -> None:
        self.closed = True


def test_it_is_loaded_when_first_needed_and_once() -> None:
    loaded: list[Parrot] = []

    def load() -> Parrot:
        loaded.append(Parrot())
        return loaded[-1]

    transcriber = Transcriber(load)
    assert loaded == []
    for _ in range(2):
        transcriber.transcribe(LONG[:16_000], 16_000)
    assert len(loaded) == 1
    transcriber.close()
    assert loaded[0].closed


def test_the_language_of_the_first_window_holds_for_the_others() -> None:
    parrot = Parrot()
    transcript = Transcriber(lambda: parrot).transcribe(LONG, 16_000)
    assert parrot.asked == [None, "de", "de"] and transcript.language == "de"
    assert transcript.text == "so so so"
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(set(starts)) and starts[-1] > 30


@pytest.mark.parametrize(("given", "code"), [("German", "de"), ("en-GB", "en"), (" EN ", "en")])
def test_a_language_may_be_named_in_many_ways(given: str, code: str) -> None:
    parrot = Parrot()
    Transcriber(lambda: parrot).transcribe(LONG[:16_000], 16_000, Task(language=given))
    assert parrot.asked == [code]


def test_more_than_may_wait_are_refused() -> None:
    parrot = Parrot()
    parrot.may_go_on.clear()
    transcriber = Transcriber(lambda: parrot, max_waiting=1)
    job = transcriber.submit(LONG, 16_000)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(job.transcript)
        while not parrot.asked:
            time.sleep(0.01)
        with pytest.raises(Overloaded):
            transcriber.transcribe(LONG, 16_000)
        parrot.may_go_on.set()
        assert first.result(10).text == "so so so"
    assert transcriber.transcribe(LONG[:16_000], 16_000).text == "so"


def test_a_cancelled_hearing_that_nobody_takes_ends_behind_its_window_and_makes_room() -> None:
    """Kind: a client that left between two windows, whose place was held until it was collected."""
    parrot = Parrot()
    transcriber = Transcriber(lambda: parrot, max_waiting=1)
    job = transcriber.submit(LONG, 16_000)
    parts = iter(job)
    next(parts)
    job.cancel()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(Overloaded):
            assert transcriber.transcribe(LONG[:16_000], 16_000).text == "so"
            break
        time.sleep(0.01)
    else:
        pytest.fail("its place is still taken")
    with pytest.raises(Cancelled):
        next(parts)


def test_a_short_recording_need_not_wait_for_a_long_one() -> None:
    parrot = Parrot()
    transcriber = Transcriber(lambda: parrot)
    long = iter(transcriber.submit(LONG, 16_000))
    next(long)
    assert transcriber.transcribe(LONG[:16_000], 16_000).text == "so"
    assert next(long).segments


@pytest.fixture
def sphinx() -> Iterator[Sphinx]:
    sphinx = load_recogniser("pocketsphinx", "cpu")
    assert isinstance(sphinx, Sphinx)
    yield sphinx
    sphinx.close()


def test_a_recogniser_whose_process_dies_is_started_again(sphinx: Sphinx) -> None:
    made = iter([sphinx, load_recogniser("pocketsphinx", "cpu")])
    transcriber = Transcriber(lambda: next(made))
    sphinx._process.kill()
    sphinx._process.wait()
    with pytest.raises(ModelError) as failed:
        transcriber.transcribe(recording()[:24_000], 24_000)
    assert failed.value.code == "recogniser_unavailable"
    assert transcriber.transcribe(recording()[:48_000], 24_000).text
    transcriber.close()


def test_a_recogniser_that_is_missing_is_not_looked_for_again_at_once() -> None:
    """Kind: without a network each request waited minutes for the hub, one after the other."""
    tries = []

    def load() -> Parrot:
        tries.append(1)
        raise RecogniserMissing("There is none.")

    transcriber = Transcriber(load)
    for _ in range(3):
        with pytest.raises(RecogniserMissing, match="There is none") as missing:
            transcriber.transcribe(LONG[:16_000], 16_000)
        assert error_response(missing.value).headers["x-should-retry"] == "false"
    assert len(tries) == 1


def test_a_recogniser_is_looked_for_at_start(tmp_path: Path) -> None:
    for there in ("auto", "pocketsphinx", str(write_tiny_whisper(tmp_path / "whisper", multilingual=True))):
        check_recogniser(there)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', "utf-8")
    for missing in ("/nowhere/whisper", str(tmp_path), str(tmp_path / "whisper" / "none")):
        with pytest.raises(StartError, match=f"HIGGS_RECOGNISER {missing} .*pocketsphinx"):
            check_recogniser(missing)


def test_auto_is_pocketsphinx_without_cuda(sphinx: Sphinx) -> None:
    assert isinstance(load_recogniser("auto", "cpu"), Sphinx)


def test_its_names_are_those_of_the_setting_without_the_server_s_folders(tmp_path: Path) -> None:
    def names(setting: str) -> tuple[str, ...]:
        return Transcriber.of_setting(setting, "cpu", 1).names

    assert names("auto") == ()
    assert names("pocketsphinx") == ("pocketsphinx",)
    assert names("openai/whisper-small") == ("openai/whisper-small", "whisper-small")
    assert names(str(tmp_path)) == (tmp_path.name,)
