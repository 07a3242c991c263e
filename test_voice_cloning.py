"""The user's stories: the specification's own request, speech in the default voice and in that of a
recording, streamed speech, then a voice that is kept: upload, steps, status, another text, deleted.

    python test_voice_cloning.py [recording] [--api-url http://127.0.0.1:8000] [--chatterbox-url URL]
                                 [--save kept_voice.mp3]

It needs the server's own packages only (`make serve`). Without an address (--api-url or VOICE_API_URL) it
starts `python app.py` on the bundled model itself; OPENAI_API_KEY goes to servers that ask for a key. Under
pytest the stories are told and checked.
"""

import argparse
import base64
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np

from asr.words import words_of
from audio.decode import decode_audio
from bench.listening import envelope_distance
from tests.attempt import Attempt, read
from tests.live import LiveServer, any_server
from tests.plain_http import RefusedError, ask, form_of, opened, request_of

ROOT = Path(__file__).resolve().parent
RECORDING = ROOT / "test_audio.wav"
HUMAN_VOICES = ROOT.parent / "shared" / "voices"
TEXT = "The quick brown fox jumps over the lazy dog near the river bank."
SPECIFIED_TEXT = "Say this in my voice: Hello world"
SPECIFIED_WORDS = "Hello world"
MODEL = "gpt-4o-audio-preview"  # any name of OpenAI's will do; the answer says which model spoke
SEED = 4
WAV_HEADER_BYTES = 44
ONBOARDING = "/api/public/voice/onboarding"
API_KEY = os.environ.get("OPENAI_API_KEY", "not-needed")


@dataclass(frozen=True)
class Story:
    """The recording, the answers, and what the server held in memory (bytes; None where it is not ours)."""

    server: LiveServer
    recording: Attempt
    specified: Attempt
    streamed: Attempt
    default: Attempt
    first_clone: Attempt
    second_clone: Attempt
    memory_before: int | None
    memory_after: int | None


def tell(server: LiveServer, path: Path, streaming_url: str | None = None) -> Story:
    """Health, then the specified request, streamed speech, the default voice, twice the recording's voice."""
    ask(f"{server.url}/health", API_KEY)
    recording, ref_text = read(path), read(path).text or None
    specified = speak(server, "as specified", path, SPECIFIED_TEXT, SPECIFIED_WORDS)
    streamed = stream_speech(streaming_url or server.url)
    default = speak(server, "default voice", seed=SEED)
    before = server.resident_bytes()
    first = speak(server, "clone, first time", path, seed=SEED, ref_text=ref_text)
    second = speak(server, "clone, again", path, seed=SEED, ref_text=ref_text)
    return Story(
        server, recording, specified, streamed, default, first, second, before, server.resident_bytes()
    )


def speak(
    server: LiveServer,
    name: str,
    path: Path | None = None,
    text: str = TEXT,
    words: str = TEXT,
    seed: int | None = None,
    ref_text: str | None = None,
) -> Attempt:
    """Let the server say these words of a text, in the voice of a recording if one is given."""
    content: list[Any] = [{"type": "text", "text": text}]
    audio = {"voice": "clone" if path else "default", "format": "wav"}
    if path:
        data = base64.b64encode(path.read_bytes()).decode()
        content.append({"type": "input_audio", "input_audio": {"data": data, "format": path.suffix[1:]}})
    if ref_text is not None:
        audio |= {"ref_text": ref_text}
    messages = [{"role": "user", "content": content}]
    body: dict[str, Any] = {"model": MODEL, "modalities": ["text", "audio"], "audio": audio}
    body |= {"messages": messages}
    if seed is not None:
        body |= {"seed": seed}
    started = time.perf_counter()
    answer = ask(f"{server.url}/v1/chat/completions", API_KEY, body)
    latency = time.perf_counter() - started
    sound = base64.b64decode(answer["choices"][0]["message"]["audio"]["data"])
    return Attempt(name, words, decode_audio(sound), latency, answer["model"])


def stream_speech(url: str) -> Attempt:
    """Let the server at this address say TEXT while it is sent; the latency is that of the first sound."""
    body: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "wav"}
    body |= {"stream": True, "seed": SEED}
    started, latency, data = time.perf_counter(), 0.0, b""
    with opened(request_of(f"{url.rstrip('/')}/v1/audio/speech", API_KEY, body)) as response:
        while piece := response.read1(2**16):
            data += piece
            if not latency and len(data) > WAV_HEADER_BYTES:
                latency = time.perf_counter() - started
        model = response.headers.get("x-model-used")
    return Attempt("streamed", TEXT, decode_audio(data), latency, model)


def table(story: Story) -> str:
    """The story as a table for the terminal."""
    lines = [f"{'':20}{'pitch':>9}{'colour':>10}{'length':>9}{'wrong words':>14}{'latency':>10}"]
    takes = (story.specified, story.default, story.first_clone, story.second_clone, story.streamed)
    for take in (story.recording, *takes):
        colour = envelope_distance(story.recording.samples, take.samples)
        wrong = f"{take.wrong_words} of {len(words_of(take.text))}" if take.text else "-"
        latency = f"{take.latency_seconds:.2f} s" if take.latency_seconds else "-"
        cells = f"{take.pitch_hertz:>6.0f} Hz{colour:>7.1f} dB{take.seconds:>7.1f} s{wrong:>14}{latency:>10}"
        lines.append(f"{take.name:20}{cells}")
    lines.append("colour: distance of the mean spectrum from the recording's, over 24 mel bands")
    lines.append(f"spoken by {story.specified.model}, asked for as {MODEL}; streamed: until the first sound")
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
    """Make a voice of the recording alone, let it say TEXT into the file `save`, and delete it."""
    base = f"{server.url}{ONBOARDING}"
    fields = {"ref_text": read(path).text, "stream": "true"}
    form = form_of(f"{base}/clone", API_KEY, fields, {"audio_file": (path.name, path.read_bytes())})
    with opened(form) as response:
        lines = [line for line in response.read().decode().splitlines() if line]
    last = json.loads(lines[-1].removeprefix("data: "))
    if "error" in last:
        raise SystemExit(f"{path} can't become a voice: {last['error']['message']}")
    voice_id = last["voice_id"]
    status = ask(f"{base}/status/{voice_id}", API_KEY)
    tried = ask(f"{base}/test/{voice_id}", API_KEY, {"text": TEXT})
    save.write_bytes(sound_of(tried))
    ask(f"{base}/{voice_id}", API_KEY, method="DELETE")
    return KeptVoice(status["steps"], last, status, tried, status_of(f"{base}/status/{voice_id}"))


def status_of(url: str) -> int:
    try:
        with opened(request_of(url, API_KEY)) as response:
            return response.status
    except RefusedError as refused:
        return refused.status


def sound_of(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["sample_audio"].partition(",")[2])


def report(kept: KeptVoice, recording: Attempt, save: Path) -> str:
    """The story of a saved voice for the terminal."""
    used = kept.kept["used"]
    lines = [f"{step['name']:>8}  {step['state']}, {step['seconds']:.2f} s" for step in kept.steps]
    lines.append(
        f"{kept.kept['voice_id']}: {kept.status['status']} in {kept.status['duration_seconds']:.1f} s"
    )
    lines.append(f"used: {used['start']:.1f} to {used['end']:.1f} s of {used['seconds']:.1f} s")
    lines += [f"found: {finding['message']}" for finding in kept.kept["findings"]]
    take = Attempt("saved voice", TEXT, decode_audio(sound_of(kept.tried)))
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


def test_a_voice_is_kept_speaks_and_goes(story_server: LiveServer, tmp_path: Path) -> None:
    save = tmp_path / "kept.mp3"
    told = keep(story_server, RECORDING, save)
    assert [step["state"] for step in told.steps] == ["completed"] * 5
    assert told.gone == 404
    recording = read(RECORDING)
    spoken = Attempt("saved voice", TEXT, decode_audio(save.read_bytes()))
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
    assert semitones(clone.pitch_hertz, recording.pitch_hertz) < 1  # the default voice is as low by chance
    colour = envelope_distance(clone.samples, recording.samples)
    assert colour < envelope_distance(default.samples, recording.samples)


def test_the_same_seed_gives_the_same_clone(story: Story) -> None:
    assert np.array_equal(story.first_clone.samples, story.second_clone.samples)


def test_human_voices_are_followed(story_server: LiveServer, human_voices: Path) -> None:
    man, woman = (
        speak(story_server, name, human_voices / f"en_{name}.wav", seed=SEED) for name in ("man", "woman")
    )
    assert man.pitch_hertz < woman.pitch_hertz


def test_the_specified_request_is_served_as_it_stands(story: Story) -> None:
    """The instruction before the colon is not spoken; the model's own name answers for OpenAI's."""
    assert story.specified.model not in (None, MODEL)
    assert story.specified.seconds < 4


def test_streamed_speech_is_the_whole_text(story: Story) -> None:
    assert story.streamed.wrong_words <= 3
    assert story.streamed.latency_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recording", nargs="?", type=Path, default=RECORDING, help="5 to 10 s of one voice")
    parser.add_argument("--api-url", default=os.environ.get("VOICE_API_URL"), help="a running server")
    parser.add_argument("--chatterbox-url", help="the server asked for streamed speech; by default the same")
    parser.add_argument("--save", type=Path, default=Path("kept_voice.mp3"), help="where to write the speech")
    arguments = parser.parse_args()
    try:
        with any_server(arguments.api_url) as server:
            print(table(tell(server, arguments.recording, arguments.chatterbox_url)), end="\n\n")
            kept = keep(server, arguments.recording, arguments.save)
            print(report(kept, read(arguments.recording), arguments.save))
    except (RefusedError, URLError) as error:
        raise SystemExit(f"{arguments.api_url or 'the server'}: {error}") from error


if __name__ == "__main__":
    main()
