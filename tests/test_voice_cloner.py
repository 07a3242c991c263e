"""The Python door, on a tiny model of random weights: references, speech, boson samples, the CLI."""

import base64
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import voice_cloning
from concurrency import Cancellation, cancelled_by
from errors import Cancelled, InvalidAudio, InvalidRequest, StartError
from higgs.prompts.v2 import QUIET_ROOM
from settings import Settings
from synthesis.options import SpeechOptions
from synthesis.references import VoiceReference
from tests import forked
from tests.audio.media import recording
from tests.live import ROOT
from tests.tiny_server import write_endless_model, write_whole_model
from voice_cloning import VoiceCloner

RECORDING = (ROOT / "test_audio.wav").read_bytes()
SHORT = SpeechOptions(seed=1, max_steps=60)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def cloner(tiny_model: Path) -> Iterator[VoiceCloner]:
    cloner = VoiceCloner.load(Settings(model=str(tiny_model), device="cpu", reference_cache=2))
    yield cloner
    cloner.close()


@pytest.fixture(scope="module")
def endless_cloner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoiceCloner]:
    folder = write_endless_model(tmp_path_factory.mktemp("models") / "endless")
    cloner = VoiceCloner.load(Settings(model=str(folder), device="cpu"))
    yield cloner
    cloner.close()


def recording_of(seconds: float, gain: float = 1.0) -> bytes:
    """A WAV file of somebody speaking all the while."""
    output = BytesIO()
    samples = gain * np.resize(recording()[12_000:], int(seconds * 24_000))
    soundfile.write(output, samples, 24_000, format="WAV")
    return output.getvalue()


def test_a_reference_holds_the_codes_of_the_seconds_it_names(cloner: VoiceCloner) -> None:
    voice = cloner.reference(RECORDING, "Some words.")
    frames = round((voice.end_seconds - voice.start_seconds) * 25)
    assert voice.codes.shape == (8, frames) and voice.codes.dtype == torch.int64
    assert voice.codes.min() >= 0 and voice.codes.max() < 1024
    assert voice.transcript == "Some words." and not voice.trimmed


def test_a_long_recording_is_trimmed(cloner: VoiceCloner) -> None:
    voice = cloner.reference(recording_of(40))
    assert voice.trimmed and voice.source_seconds == 40
    assert 15 <= voice.end_seconds - voice.start_seconds <= 30


def test_a_recording_is_encoded_once_by_all_who_ask(cloner: VoiceCloner) -> None:
    audio = recording_of(2)
    with ThreadPoolExecutor(4) as pool:
        voices = list(pool.map(cloner.reference, [audio] * 4))
    assert all(voice.codes is voices[0].codes for voice in voices)


def test_only_the_last_used_recordings_are_kept(cloner: VoiceCloner) -> None:
    first, second, third = (recording_of(1.5, gain) for gain in (1.0, 0.8, 0.6))
    codes = cloner.reference(first).codes
    cloner.reference(second)
    assert cloner.reference(first).codes is codes
    cloner.reference(third)
    assert cloner.reference(first).codes is codes
    cloner.reference(second)
    cloner.reference(third)
    assert cloner.reference(first).codes is not codes


def test_a_recording_that_can_t_be_a_voice_says_why(cloner: VoiceCloner) -> None:
    with pytest.raises(InvalidAudio) as error:
        cloner.reference(recording_of(0.2))
    assert error.value.code == "audio_too_short"


def test_pieces_of_a_stream_are_the_samples_of_the_whole(cloner: VoiceCloner) -> None:
    voice = cloner.reference(RECORDING)
    whole = cloner.speak("Hello world.", voice, SHORT)
    pieces = list(cloner.stream("Hello world.", voice, SHORT))
    assert len(pieces) > 2
    assert len(whole.samples) == 960 * whole.completion_audio_tokens
    np.testing.assert_allclose(np.concatenate(pieces), whole.samples, atol=1e-5)


def test_several_voices_speak_in_turn(cloner: VoiceCloner) -> None:
    voice = cloner.reference(RECORDING)
    both = cloner.speak("[SPEAKER1] Hello. [SPEAKER0] Hello.", [None, voice], SpeechOptions(seed=1))
    cloned = cloner.speak("Hello.", voice, SpeechOptions(seed=1))
    default = cloner.speak("Hello.", None, SpeechOptions(seed=2))
    assert both.prompt_audio_tokens == cloned.prompt_audio_tokens > 0 == default.prompt_audio_tokens
    assert len(both.samples) == len(cloned.samples) + len(default.samples)


def test_a_seed_is_repeatable_and_told(cloner: VoiceCloner) -> None:
    drawn = cloner.speak("Hello.", options=SpeechOptions(max_steps=60))
    again = cloner.speak("Hello.", options=SpeechOptions(seed=drawn.seed, max_steps=60))
    assert np.array_equal(drawn.samples, again.samples)


def test_a_runaway_is_cut_by_the_length_of_its_text(endless_cloner: VoiceCloner) -> None:
    speech = endless_cloner.speak("Ten bytes.")
    assert speech.finish_reason == "length"
    assert speech.completion_audio_tokens == 8 * 25 + 4 * 10 - 8


def test_a_reference_that_can_t_fit_is_refused_before_any_work(cloner: VoiceCloner) -> None:
    voice = VoiceReference.of_codes(torch.zeros(8, 9000, dtype=torch.int64))
    with pytest.raises(InvalidRequest) as error:
        cloner.stream("Some words.", voice)
    assert error.value.code == "context_length_exceeded"


def test_a_long_text_is_spoken_in_pieces(cloner: VoiceCloner) -> None:
    sentence = "This sentence has some forty characters. "
    once, twice = (cloner.speak(sentence * times, options=SpeechOptions(seed=1)) for times in (7, 14))
    # The second piece has the first, its words and its sound, before its own words.
    assert twice.prompt_text_tokens > 3 * once.prompt_text_tokens - 100
    assert once.prompt_audio_tokens == 0 < twice.prompt_audio_tokens < twice.completion_audio_tokens
    # The first piece has the same seed and so is the same, but for what the codec looks ahead at its end.
    same = len(once.samples) - 24_000
    assert len(twice.samples) > len(once.samples) > 24_000
    np.testing.assert_allclose(twice.samples[:same], once.samples[:same], atol=1e-4)


def test_max_columns_bounds_all_pieces_together(endless_cloner: VoiceCloner) -> None:
    text = "This sentence has some forty characters. " * 20
    speech = endless_cloner.speak(text, options=SpeechOptions(seed=1, max_steps=60))
    assert speech.finish_reason == "length"
    assert speech.completion_audio_tokens == 60 - 8


def test_a_cancelled_stream_raises(endless_cloner: VoiceCloner) -> None:
    stream = endless_cloner.stream("A long text. " * 100)
    pieces = iter(stream)
    assert len(next(pieces)) >= 0
    stream.cancel()
    with pytest.raises(Cancelled):
        list(pieces)


def test_work_that_is_cancelled_cancels_what_it_began_to_speak(endless_cloner: VoiceCloner) -> None:
    """Kind: only some ways to begin speech notice that its client has left; the others speak to nobody."""
    work, text = Cancellation(), "A long text. " * 100
    with cancelled_by(work):
        streams = [endless_cloner.stream(text), endless_cloner.stream_parts([(0, text)], [None], SHORT)]
    work.cancel()
    for stream in streams:
        with pytest.raises(Cancelled):
            stream.speech()


@dataclass
class AudioContent:
    """This and the next three have the fields of boson_multimodal.data_types."""

    audio_url: str
    raw_audio: str | None = None
    offset: float | None = None
    duration: float | None = None
    row_id: int | None = None
    type: str = "audio"


@dataclass
class TextContent:
    text: str
    type: str = "text"


@dataclass
class Message:
    role: str
    content: Any
    recipient: str | None = None


@dataclass
class ChatMLSample:
    messages: list[Message]
    start_index: int | None = None
    misc: dict[str, Any] | None = None
    speaker: str | None = field(default=None)


def sample_with(audio: AudioContent) -> ChatMLSample:
    system = "Generate audio following instruction.\n\n"
    system += f"<|scene_desc_start|>\n{QUIET_ROOM}\n<|scene_desc_end|>"
    return ChatMLSample(
        [
            Message("system", system),
            Message("user", TextContent("Some words.")),
            Message("assistant", [audio]),
            Message("user", ["Hello world."]),
        ]
    )


def test_boson_s_sample_is_answered_like_speak(cloner: VoiceCloner) -> None:
    options = SpeechOptions(temperature=0.7, top_k=50, top_p=0.95, seed=3, max_steps=60)
    speech = cloner.speak("Hello world.", cloner.reference(RECORDING, "Some words."), options)
    raw = AudioContent("placeholder", raw_audio=base64.b64encode(RECORDING).decode())
    for audio in (raw, AudioContent(str(ROOT / "test_audio.wav"))):
        response = cloner.generate(sample_with(audio), max_new_tokens=60, top_k=50, seed=3)
        assert np.array_equal(response.audio, speech.samples)
        assert (response.sampling_rate, response.generated_text) == (24_000, "")
        assert response.usage["prompt_tokens"] == speech.prompt_text_tokens + speech.prompt_audio_tokens
        assert response.usage["completion_tokens"] == speech.completion_audio_tokens


@pytest.mark.parametrize(
    "sample", [None, "Hello.", sample_with(AudioContent("")), sample_with(AudioContent("/no/such.wav"))]
)
def test_what_is_no_sample_is_refused(cloner: VoiceCloner, sample: Any) -> None:
    with pytest.raises(InvalidRequest):
        cloner.generate(sample, max_new_tokens=60)


def test_the_module_s_functions_use_the_settings_of_the_environment(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIGGS_MODEL", str(tiny_model))
    monkeypatch.setenv("HIGGS_DEVICE", "cpu")
    codes = voice_cloning.extract_voice_reference(RECORDING)
    assert codes.shape[0] == 8
    for voice in (None, codes):
        samples, rate = soundfile.read(BytesIO(voice_cloning.text_to_speech("Hello.", voice)))
        assert rate == 24_000 and len(samples) % 960 == 0 and len(samples) > 0


@pytest.mark.parametrize(
    "codes",
    [torch.zeros(7, 5, dtype=torch.int64), torch.zeros(8, 0, dtype=torch.int64), torch.zeros(8, 5)]
    + [torch.full((8, 5), code) for code in (-1, 1024)],
)
def test_codes_that_are_no_voice_are_refused(codes: torch.Tensor) -> None:
    with pytest.raises(InvalidRequest):
        VoiceReference.of_codes(codes)


def test_a_model_that_isn_t_there_names_the_remedy() -> None:
    with pytest.raises(StartError, match="no folder"):
        VoiceCloner.load(Settings(model="./nowhere", device="cpu"))


def run(tiny_model: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HIGGS_MODEL": str(tiny_model), "HIGGS_DEVICE": "cpu"}
    return forked.run(ROOT / "voice_cloning.py", *arguments, environment=environment, folder=folder)


def test_the_command_line(tiny_model: Path, tmp_path: Path) -> None:
    ended = run(
        tiny_model,
        str(ROOT / "test_audio.wav"),
        "Hello world",
        "-o",
        "out.wav",
        "--seed",
        "7",
        folder=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    assert soundfile.info(tmp_path / "out.wav").samplerate == 24_000
    assert "out.wav" in ended.stdout and "seed 7" in ended.stdout
    assert "speaking" in ended.stderr


def test_the_command_line_says_what_is_wrong(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "short.wav").write_bytes(recording_of(0.2))
    for name, complaint in (("missing.wav", "No such file"), ("short.wav", "at least 1 s")):
        ended = run(tiny_model, name, "Hello world", folder=tmp_path)
        assert ended.returncode == 1 and complaint in ended.stderr
        assert "Traceback" not in ended.stderr
