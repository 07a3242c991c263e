"""Whisper's way through transformers, with checkpoints in its real format that say what the tests expect.

What a real Whisper hears is not tested here: its weights are not part of the project.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.transcriber import Transcriber, load_recogniser
from asr.transcript import Task
from errors import InvalidRequest, ModelError
from tests.asr.tiny_whisper import write_tiny_whisper
from tests.live import ROOT

CLIP = soundfile.read(ROOT / "test_audio.wav", dtype="float32")[0]


def listener_of(folder: Path) -> Transcriber:
    return Transcriber(lambda: load_recogniser(str(folder), "cpu"))


@pytest.fixture(scope="module")
def transcriber(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transcriber]:
    transcriber = listener_of(write_tiny_whisper(tmp_path_factory.mktemp("whisper")))
    yield transcriber
    transcriber.close()


def test_segments_and_times_are_those_of_the_tokens(transcriber: Transcriber) -> None:
    heard = transcriber.transcribe(CLIP, 24_000)
    assert heard.text == "Guten Morgen. alle!" and heard.language == "de"
    first, second = heard.segments
    assert (first.text, first.end - first.start) == (" Guten Morgen.", pytest.approx(1.0))
    assert (second.text, second.start) == (" alle!", pytest.approx(first.end))
    assert first.words == () and len(first.tokens) == 5
    assert -0.1 < first.mean_log_probability <= 0 and 0 <= first.no_speech_probability < 0.1


def test_words_have_times_and_probabilities(transcriber: Transcriber) -> None:
    words = transcriber.transcribe(CLIP, 24_000, Task(words=True)).words
    assert [word.text for word in words] == ["Guten", "Morgen.", "alle!"]
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges) and edges[0] >= 0
    assert all(0.9 < word.probability <= 1 for word in words)


def test_a_language_is_found_or_given(transcriber: Transcriber, tmp_path: Path) -> None:
    assert transcriber.languages == {"en": "english", "de": "german", "zh": "chinese"}
    assert transcriber.transcribe(CLIP, 24_000, Task(language="zh")).language == "zh"
    assert listener_of(write_tiny_whisper(tmp_path, "zh")).transcribe(CLIP, 24_000).language == "zh"
    with pytest.raises(InvalidRequest, match="doesn't support the language 'fr', only de, en, zh"):
        transcriber.transcribe(CLIP, 24_000, Task(language="fr"))


def test_translation_is_another_task(transcriber: Transcriber) -> None:
    heard = transcriber.transcribe(CLIP, 24_000, Task(translate=True))
    assert heard.text == "Good morning all?"


def test_a_prompt_stands_before_the_words_and_may_be_long(transcriber: Transcriber) -> None:
    heard = transcriber.transcribe(CLIP, 24_000, Task(prompt="Guten Morgen, " * 400))
    assert heard.text == "Guten Morgen. alle!"
    with pytest.raises(InvalidRequest) as refused:
        transcriber.transcribe(CLIP, 24_000, Task(prompt="<|endoftext|>"))
    assert (refused.value.code, refused.value.param) == ("reserved_token", "prompt")


def test_sampling_at_a_temperature(transcriber: Transcriber) -> None:
    heard = transcriber.transcribe(CLIP, 24_000, Task(temperature=0.2))
    assert heard.text == "Guten Morgen. alle!"
    assert {segment.temperature for segment in heard.segments} == {0.2}


def test_windows_are_joined(transcriber: Transcriber) -> None:
    pause = np.zeros(24_000, np.float32)
    parts = list(transcriber.submit(np.concatenate([CLIP, pause] * 5), 24_000))
    assert len(parts) == 2
    assert parts[1].segments[0].start == pytest.approx(parts[1].segments[-1].end - 2)
    assert parts[1].segments[0].start > 15


def test_a_recording_of_a_tenth_of_a_second(transcriber: Transcriber) -> None:
    assert transcriber.transcribe(CLIP[24_000:26_400], 24_000).text


def test_an_english_only_checkpoint(tmp_path: Path) -> None:
    transcriber = listener_of(write_tiny_whisper(tmp_path, multilingual=False))
    heard = transcriber.transcribe(CLIP, 24_000, Task(translate=True))
    assert (heard.language, heard.text) == ("en", "Guten Morgen. alle!")
    assert transcriber.languages == {"en": "english"}


def test_a_folder_without_a_checkpoint_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="HIGGS_RECOGNISER") as refused:
        listener_of(tmp_path).transcribe(CLIP, 24_000)
    assert refused.value.code == "recogniser_unavailable"
