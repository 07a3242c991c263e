"""How a voice delivers its text: pauses, sound and words about it, of a request and of a saved voice."""

import base64
import json
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import httpx
import numpy as np
import pytest

from tests.api.test_chat import answer, refusal, said
from tests.api.test_speech import SECONDS, TYPES, decoded, post, spoken
from tests.api.test_under_load import wait_for
from tests.api.test_voice_files import send_import
from tests.api.test_voices import error_of, keep, new_name, voices_url
from tests.tiny_server import TinyServer

RATE = 24_000
PCM: dict[str, Any] = {"response_format": "pcm", "max_tokens": 40}


def chat_samples(server: TinyServer, *messages: Any, **fields: Any) -> np.ndarray:
    audio = {"format": "pcm16"} | fields.pop("audio", {})
    body = answer(server, *messages, audio=audio, temperature=0, **fields)
    data = base64.b64decode(body["choices"][0]["message"]["audio"]["data"])
    return decoded(data, "audio/pcm")


@pytest.mark.parametrize("format", TYPES)
@pytest.mark.parametrize("stream", [True, False])
def test_a_pause_lasts_as_long_as_it_says_in_every_format(
    tiny_server: TinyServer, format: str, stream: bool
) -> None:
    text = 'Hello world. <break time="1500ms"/>'
    samples = spoken(tiny_server, input=text, response_format=format, stream=stream)
    assert len(samples) / RATE == pytest.approx(SECONDS + 1.5, abs=0.08)
    # The random model speaks of a constant offset, which Opus's high-pass lets ring for a while.
    assert np.abs(samples[-int(1.3 * RATE) : -int(0.1 * RATE)]).max() < 0.02
    assert np.abs(samples[: int(3 * RATE)]).max() > 0.05


def test_a_pause_before_the_speech_is_streamed_as_whole(tiny_server: TinyServer) -> None:
    streamed, whole = (
        spoken(tiny_server, input="[pause 2s] Hello.", stream=stream, **PCM) for stream in (True, False)
    )
    assert not streamed[: 2 * RATE].any() and streamed[2 * RATE :].any()
    np.testing.assert_allclose(streamed, whole, atol=2 / 32_768)


@pytest.mark.parametrize(
    "text", ["Hello [pause 11s] there.", "Hello <break time='x'/>.", "Hm [pause 10s]" * 7]
)
def test_a_bad_pause_is_refused(tiny_server: TinyServer, text: str) -> None:
    assert error_of(post(tiny_server, input=text)) == (400, "invalid_pause", "input")
    assert refusal(tiny_server, said(text)) == (400, "invalid_pause", "messages[0].content")


def test_sound_is_the_same_on_every_route(tiny_server: TinyServer) -> None:
    sound = {"speed": 1.25, "pitch": -3, "volume": 4}
    plain = spoken(tiny_server, **PCM)
    speech = spoken(tiny_server, **PCM, **sound)
    assert len(speech) == pytest.approx(len(plain) / 1.25, abs=0.08 * RATE)
    chat = chat_samples(tiny_server, said("Hello world."), audio=sound)
    np.testing.assert_allclose(chat, speech, atol=2 / 32_768)
    whole = spoken(tiny_server, **PCM, **sound, stream=False)
    np.testing.assert_allclose(whole, speech, atol=2 / 32_768)


@pytest.mark.parametrize(
    ("field", "value"), [("pitch", 13), ("pitch", -12.5), ("volume", 21), ("volume", -41)]
)
def test_sound_out_of_bounds_is_refused(tiny_server: TinyServer, field: str, value: float) -> None:
    assert error_of(post(tiny_server, **{field: value})) == (400, "invalid_value", field)
    chat = refusal(tiny_server, said("Hi."), audio={field: value})
    assert chat == (400, "invalid_value", f"audio.{field}")


def test_system_messages_and_instructions_are_the_scene(tiny_server: TinyServer) -> None:
    def tokens(*messages: Any, **fields: Any) -> int:
        body = answer(tiny_server, *messages, said("Hello."), **fields)
        assert body["voice"]["instructions_followed"] is (True if messages or fields else None)
        return body["usage"]["prompt_tokens_details"]["text_tokens"]

    plain = tokens()
    boson = "Generate audio following instruction.\n\n<|scene_desc_start|>\nA street.\n<|scene_desc_end|>"
    street = {tokens({"role": role, "content": "A street."}) for role in ("system", "developer")}
    assert street == {tokens({"role": "system", "content": boson})}
    assert tokens(instructions="Whisper.") == plain + len("\nSPEAKER0: Whisper.\n")
    both = tokens({"role": "system", "content": "A street."}, instructions="Whisper.")
    assert both == street.pop() + len("\nSPEAKER0: Whisper.\n")
    long = {"role": "system", "content": "word " * 1_000}
    assert refusal(tiny_server, long, said("Hi.")) == (413, "text_too_long", "messages[0].content")
    assert refusal(tiny_server, said("Hi."), instructions="x" * 4_097)[1:] == (
        "invalid_value",
        "instructions",
    )


def test_a_file_says_whether_instructions_were_followed(tiny_server: TinyServer) -> None:
    told = post(tiny_server, instructions="Whisper.", **PCM)
    assert told.headers["x-instructions-followed"] == "true"
    plain = post(tiny_server, **PCM)
    assert "x-instructions-followed" not in plain.headers and plain.content != told.content


def test_a_kept_voice_keeps_its_delivery(tiny_server: TinyServer) -> None:
    manner = {"speed": 1.5, "pitch": 2.0, "volume": -6.0, "instructions": "Speak warmly."}
    voice = keep(tiny_server, name=new_name(), **{name: str(value) for name, value in manner.items()}).json()
    assert {name: voice[name] for name in manner} == manner
    one = voices_url(tiny_server, f"/{voice['id']}")
    assert httpx.get(one).json() == voice
    named = {"voice": voice["id"]}

    delivered = spoken(tiny_server, **PCM, **named)
    assert post(tiny_server, **PCM, **named).headers["x-instructions-followed"] == "true"
    np.testing.assert_allclose(
        chat_samples(tiny_server, said("Hello world."), audio=named), delivered, atol=2 / 32_768
    )
    slow = spoken(tiny_server, **PCM, **named, speed=0.75)
    assert len(slow) == pytest.approx(2 * len(delivered), abs=0.12 * RATE)

    kept = httpx.get(f"{one}/export").content
    assert json.loads(ZipFile(BytesIO(kept)).read("voice.json"))["delivery"] == manner
    back = send_import(tiny_server, kept, name=new_name()).json()
    assert {name: back[name] for name in manner} == manner

    changed = httpx.patch(one, json={"speed": None, "pitch": 0, "volume": 0, "instructions": ""}).json()
    assert changed == voice | {"speed": None, "pitch": 0, "volume": 0, "instructions": None}
    plain = spoken(tiny_server, **PCM, **named)
    assert len(plain) == pytest.approx(1.5 * len(delivered), abs=0.1 * RATE)


def test_the_made_up_voice_of_a_job_is_kept_as_it_was_spoken(tiny_server: TinyServer) -> None:
    """Kind: sound that was delivered already is what the next speech is made from, and is delivered again."""
    url, queue = (
        f"{tiny_server.url}/v1/audio/speech/jobs",
        tiny_server.app.state.server.voices.store.job_queue,
    )
    body = {"model": "tiny", "input": "Hello world.", "seed": 5, "temperature": 0, "speed": 2.0}
    job = httpx.post(url, json=body, timeout=60).json()
    one = f"{url}/{job['id']}"
    wait_for(lambda: httpx.get(one).json()["status"] == "completed")
    kept, _ = queue.recording(job["id"])
    seconds = len(decoded(kept, "audio/flac")) / RATE
    assert seconds == pytest.approx(2 * httpx.get(f"{one}/pieces/0").json()["seconds"], abs=0.1)
    httpx.delete(one)


def test_a_voice_is_tried_as_it_is_delivered(tiny_server: TinyServer) -> None:
    voice = keep(tiny_server, name=new_name(), volume="-40").json()
    preview = httpx.get(
        voices_url(tiny_server, f"/{voice['id']}/preview"), params={"response_format": "flac"}, timeout=60
    )
    tried = httpx.post(
        f"{tiny_server.url}/api/public/voice/onboarding/test/{voice['id']}", json={"text": "Hi."}, timeout=60
    ).json()["sample_audio"]
    for data in (preview.content, base64.b64decode(tried.removeprefix("data:audio/mp3;base64,"))):
        assert 0 < np.abs(decoded(data, "audio/any")).max() < 0.02


@pytest.mark.parametrize(("field", "value"), [("speed", "9"), ("pitch", "high"), ("volume", "nan")])
def test_a_delivery_that_can_t_be_is_refused(tiny_server: TinyServer, field: str, value: str) -> None:
    refused = error_of(keep(tiny_server, name=new_name(), **{field: value}))
    assert refused[0] == 400 and refused[2] == field


def test_a_bundle_of_another_make_is_checked(tiny_server: TinyServer) -> None:
    voice = keep(tiny_server, name=new_name()).json()
    parts = ZipFile(BytesIO(httpx.get(voices_url(tiny_server, f"/{voice['id']}/export")).content))
    for delivery, status in (({"speed": 9}, 400), ({"colour": 1}, 400), ([], 400), (None, 200)):
        described = json.loads(parts.read("voice.json"))
        described = described | {"delivery": delivery} if delivery is not None else described
        if delivery is None:
            del described["delivery"]
        output = BytesIO()
        with ZipFile(output, "w") as archive:
            archive.writestr("voice.json", json.dumps(described))
            archive.writestr("reference.flac", parts.read("reference.flac"))
        sent = send_import(tiny_server, output.getvalue(), name=new_name())
        assert sent.status_code == status, sent.text
