"""The user's stories: speech in the default voice and in that of a recording, then a voice that is kept:
upload, steps, status, another text, a file to hear, deleted.

    python test_voice_cloning.py [recording] [--api-url http://127.0.0.1:8000] [--save kept_voice.mp3]

Uses the official OpenAI SDK. Without an address (--api-url or VOICE_API_URL) it starts `python app.py` on the
bundled model itself; OPENAI_API_KEY goes to servers that ask for a key. Under pytest the stories are told and
checked.
"""

import argparse
import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from openai import OpenAI

from asr.words import words_of, wrong_words
from audio.decode import decode_audio
from audio.pitch import median_pitch
from bench.listening import SAMPLE_RATE, envelope_distance, words_heard
from tests.live import BUNDLED_MODEL, LiveServer, serve

ROOT = Path(__file__).resolve().parent
RECORDING = ROOT / "test_audio.wav"
HUMAN_VOICES = ROOT.parent / "shared" / "voices"
TEXT = "The quick brown fox jumps over the lazy dog near the river bank."
SEED = 1
ONBOARDING = "/api/public/voice/onboarding"
API_KEY = os.environ.get("OPENAI_API_KEY", "not-needed")


@dataclass(frozen=True)
class Attempt:
    """One piece of speech: what was to be said, float32 mono 24 kHz samples, and how long the server took."""

    name: str
    text: str
    samples: np.ndarray
    latency_seconds: float | None = None

    @cached_property
    def pitch_hertz(self) -> float:
        pitch = median_pitch(self.samples, SAMPLE_RATE)
        if pitch is None:
            raise ValueError(f"{self.name}: no voiced speech in {self.seconds:.1f} s of audio")
        return pitch

    @cached_property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @cached_property
    def wrong_words(self) -> int:
        return wrong_words(words_of(self.text), words_heard(self.samples))


@dataclass(frozen=True)
class Story:
    """The recording, the answers, and what the server held in memory (bytes; None where it is not ours)."""

    server: LiveServer
    recording: Attempt
    default: Attempt
    first_clone: Attempt
    second_clone: Attempt
    memory_before: int | None
    memory_after: int | None


def tell(server: LiveServer, path: Path) -> Story:
    """Health, then the default voice, then twice the voice of the recording."""
    httpx.get(f"{server.url}/health").raise_for_status()
    client = OpenAI(base_url=f"{server.url}/v1", api_key=API_KEY, max_retries=0)
    recording = read(path)
    default = speak(client, "default voice")
    before = server.resident_bytes()
    first = speak(client, "clone, first time", path)
    second = speak(client, "clone, again", path)
    return Story(server, recording, default, first, second, before, server.resident_bytes())


def read(path: Path) -> Attempt:
    """A recording, with its transcript where a .txt file stands beside it."""
    transcript = path.with_suffix(".txt")
    text = transcript.read_text().strip() if transcript.exists() else ""
    return Attempt(path.name, text, decode_audio(path.read_bytes()))


def speak(client: OpenAI, name: str, path: Path | None = None) -> Attempt:
    """Let the server say TEXT, in the voice of a recording if one is given."""
    audio: Any = {"voice": "clone" if path else "default", "format": "wav"}
    content: list[Any] = [{"type": "text", "text": TEXT}]
    if path:
        audio |= {"ref_text": read(path).text or None}
        data = base64.b64encode(path.read_bytes()).decode()
        content.append({"type": "input_audio", "input_audio": {"data": data, "format": path.suffix[1:]}})
    model = client.models.list().data[0].id
    started = time.perf_counter()
    completion = client.chat.completions.create(
        model=model,
        modalities=["text", "audio"],
        audio=audio,
        messages=[{"role": "user", "content": content}],
        seed=SEED,
    )
    latency = time.perf_counter() - started
    answer = completion.choices[0].message.audio
    assert answer is not None, completion
    return Attempt(name, TEXT, decode_audio(base64.b64decode(answer.data)), latency)


def table(story: Story) -> str:
    """The story as a table for the terminal."""
    lines = [f"{'':20}{'pitch':>9}{'colour':>10}{'length':>9}{'wrong words':>14}{'latency':>10}"]
    for take in (story.recording, story.default, story.first_clone, story.second_clone):
        colour = envelope_distance(story.recording.samples, take.samples)
        wrong = f"{take.wrong_words} of {len(words_of(take.text))}" if take.text else "-"
        latency = f"{take.latency_seconds:.2f} s" if take.latency_seconds else "-"
        cells = f"{take.pitch_hertz:>6.0f} Hz{colour:>7.1f} dB{take.seconds:>7.1f} s{wrong:>14}{latency:>10}"
        lines.append(f"{take.name:20}{cells}")
    lines.append("colour: distance of the mean spectrum from the recording's, over 24 mel bands")
    if story.memory_before and story.memory_after:
        before, after = story.memory_before / 2**20, story.memory_after / 2**20
        lines.append(f"memory of the server: {before:.0f} MiB before cloning, {after:.0f} MiB after")
    return "\n".join(lines)


@dataclass(frozen=True)
class KeptVoice:
    """What an onboarding told: its steps, its answer, its status and the answer to another text.

    gone: the status of asking for the voice once it was deleted.
    """

    steps: list[dict[str, Any]]
    kept: dict[str, Any]
    status: dict[str, Any]
    tried: dict[str, Any]
    gone: int


def keep(server: LiveServer, path: Path, save: Path) -> KeptVoice:
    """Make a voice of the recording, let it say TEXT into the file `save`, and delete it."""
    headers = {"authorization": f"Bearer {API_KEY}"}
    with httpx.Client(base_url=f"{server.url}{ONBOARDING}", headers=headers, timeout=600) as client:
        name = f"{path.stem} {time.time():.0f}"
        form = {"user_id": "story", "voice_name": name, "ref_text": read(path).text, "stream": "true"}
        response = client.post("/clone", data=form, files={"audio_file": (path.name, path.read_bytes())})
        lines = [line for line in response.text.splitlines() if line]
        last = json.loads(lines[-1].removeprefix("data: "))
        if "error" in last:
            raise SystemExit(f"{path} can't become a voice: {last['error']['message']}")
        voice_id = last["voice_id"]
        status = client.get(f"/status/{voice_id}").raise_for_status().json()
        tried = client.post(f"/test/{voice_id}", json={"text": TEXT}).raise_for_status().json()
        save.write_bytes(sound_of(tried))
        client.delete(f"/{voice_id}").raise_for_status()
        return KeptVoice(status["steps"], last, status, tried, client.get(f"/status/{voice_id}").status_code)


def sound_of(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["sample_audio"].partition(",")[2])


def report(kept: KeptVoice, recording: Attempt, save: Path) -> str:
    """The story of a kept voice for the terminal."""
    used = kept.kept["used"]
    lines = [f"{step['name']:>8}  {step['state']}, {step['seconds']:.2f} s" for step in kept.steps]
    lines.append(
        f"{kept.kept['voice_id']}: {kept.status['status']} in {kept.status['duration_seconds']:.1f} s"
    )
    lines.append(f"used: {used['start']:.1f} to {used['end']:.1f} s of {used['seconds']:.1f} s")
    lines += [f"found: {finding['message']}" for finding in kept.kept["findings"]]
    take = Attempt("kept voice", TEXT, decode_audio(sound_of(kept.tried)))
    pitches = f"{take.pitch_hertz:.0f} Hz, the recording's {recording.pitch_hertz:.0f} Hz"
    lines.append(f"{save}: {take.seconds:.1f} s; pitch {pitches}; {take.wrong_words} words misheard")
    lines.append(similarity_line(kept.tried["likeness"]))
    lines.append(
        "deleted: the voice is gone" if kept.gone == 404 else f"deleted, but its status is {kept.gone}"
    )
    return "\n".join(lines)


def similarity_line(likeness: dict[str, Any] | None) -> str:
    if likeness is None:
        return "similarity to the recording: this server has no model that compares speakers"
    verdict = "one speaker" if likeness["same_speaker"] else "not one speaker"
    threshold = likeness["threshold"]
    return f"similarity to the recording: {likeness['similarity']:.2f}, {verdict} (from {threshold:g} on)"


@contextmanager
def any_server(url: str | None) -> Iterator[LiveServer]:
    """The server at this address, or one of our own with the bundled model."""
    if url:
        yield LiveServer(url.rstrip("/"))
    else:
        with serve(BUNDLED_MODEL) as server:
            yield server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    url = os.environ.get("VOICE_API_URL")
    if not url and not (BUNDLED_MODEL / "model.safetensors").exists():
        pytest.skip(f"no bundled model at {BUNDLED_MODEL}, and VOICE_API_URL names no server")
    with any_server(url) as server:
        yield server


@pytest.fixture(scope="module")
def story(server: LiveServer) -> Story:
    return tell(server, RECORDING)


def test_a_voice_is_kept_speaks_and_goes(server: LiveServer, tmp_path: Path) -> None:
    save = tmp_path / "kept.mp3"
    told = keep(server, RECORDING, save)
    assert [step["state"] for step in told.steps] == ["completed"] * 5
    assert told.gone == 404
    recording = read(RECORDING)
    spoken = Attempt("kept voice", TEXT, decode_audio(save.read_bytes()))
    assert semitones(spoken.pitch_hertz, recording.pitch_hertz) < 4
    assert "used: " in report(told, recording, save)


def semitones(one: float, other: float) -> float:
    return abs(12 * np.log2(one / other))


def test_the_recording_is_clear_speech() -> None:
    recording = read(RECORDING)
    assert 6 <= recording.seconds <= 9
    assert recording.wrong_words <= 1


def test_the_words_are_understood(story: Story) -> None:
    assert story.default.wrong_words <= 3
    assert story.first_clone.wrong_words <= 3


def test_the_clone_sounds_more_like_the_recording_than_the_default_voice(story: Story) -> None:
    recording, default, clone = story.recording, story.default, story.first_clone
    pitch = recording.pitch_hertz
    assert semitones(clone.pitch_hertz, pitch) < semitones(default.pitch_hertz, pitch)
    colour = envelope_distance(clone.samples, recording.samples)
    assert colour < envelope_distance(default.samples, recording.samples)


def test_the_same_seed_gives_the_same_clone(story: Story) -> None:
    assert np.array_equal(story.first_clone.samples, story.second_clone.samples)


def test_human_voices_are_followed(server: LiveServer) -> None:
    if not HUMAN_VOICES.is_dir():
        pytest.skip(f"no recordings of people at {HUMAN_VOICES}")
    client = OpenAI(base_url=f"{server.url}/v1", api_key=API_KEY, max_retries=0)
    man, woman = (speak(client, name, HUMAN_VOICES / f"en_{name}.wav") for name in ("man", "woman"))
    assert man.pitch_hertz < woman.pitch_hertz


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recording", nargs="?", type=Path, default=RECORDING, help="1-30 s of one voice")
    parser.add_argument("--api-url", default=os.environ.get("VOICE_API_URL"), help="a running server")
    parser.add_argument("--save", type=Path, default=Path("kept_voice.mp3"), help="where to write the speech")
    arguments = parser.parse_args()
    with any_server(arguments.api_url) as server:
        print(table(tell(server, arguments.recording)), end="\n\n")
        kept = keep(server, arguments.recording, arguments.save)
        print(report(kept, read(arguments.recording), arguments.save))


if __name__ == "__main__":
    main()
