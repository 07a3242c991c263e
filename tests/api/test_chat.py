"""POST /v1/chat/completions: what is spoken, in which voice, and what is refused, over real HTTP."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from settings import Settings
from tests.audio.media import sound_file
from tests.event_loop import run
from tests.live import ROOT
from tests.tiny_server import TinyServer, ready

RECORDING = base64.b64encode((ROOT / "test_audio.wav").read_bytes()).decode()
OTHER_RECORDING = base64.b64encode(sound_file("flac")).decode()  # other bytes: another recording
SHORT = 40  # columns: enough to see how a request is read
NOT_AUDIO = base64.b64encode(b"this is no sound").decode()

Body = dict[str, Any]


def said(text: str, *recordings: str, role: str = "user") -> Body:
    parts: list[Body] = [{"type": "text", "text": text}] if text else []
    parts += [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}} for data in recordings]
    return {"role": role, "content": parts}


def ask(server: TinyServer, *messages: Body, timeout: float = 60, **fields: Any) -> httpx.Response:
    body = {"model": "tiny", "max_completion_tokens": SHORT, "seed": 1, "messages": messages, **fields}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=timeout)


def answer(server: TinyServer, *messages: Body, **fields: Any) -> Body:
    response = ask(server, *messages, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def refusal(server: TinyServer, *messages: Body, **fields: Any) -> tuple[int, str, str]:
    response = ask(server, *messages, **fields)
    error = response.json()["error"]
    assert error["message"] and error["type"] == "invalid_request_error"
    return response.status_code, error["code"], error["param"]


def audio_of(body: Body) -> str:
    return body["choices"][0]["message"]["audio"]["data"]


def transcript_of(body: Body) -> str:
    return body["choices"][0]["message"]["audio"]["transcript"]


def test_the_last_user_text_is_spoken(tiny_server: TinyServer) -> None:
    body = answer(tiny_server, said("First."), said("Indeed.", role="assistant"), said("Second."))
    assert transcript_of(body) == "Second."


def test_a_leading_instruction_is_left_out_unless_kept(tiny_server: TinyServer) -> None:
    message = {"role": "user", "content": "Say this in my voice: Good morning."}
    assert transcript_of(answer(tiny_server, message)) == "Good morning."
    kept = answer(tiny_server, message, strip_instruction=False)
    assert transcript_of(kept) == message["content"]


def test_clone_uses_the_recording_and_says_what_of_it(tiny_server: TinyServer) -> None:
    clone = answer(tiny_server, said("Hello.", RECORDING), audio={"voice": "clone"})
    default = answer(tiny_server, said("Hello."))
    assert audio_of(clone) != audio_of(default)
    assert clone["voice"]["used"] == "clone" and clone["voice"]["note"] is None
    used = clone["voice"]["reference"]
    frames = round((used["end"] - used["start"]) * 25)
    assert used["trimmed"] is False and 0 <= used["start"] < used["end"] <= used["seconds"]
    assert clone["usage"]["prompt_tokens_details"]["audio_tokens"] == frames + 9
    assert default["usage"]["prompt_tokens_details"]["audio_tokens"] == 0


def test_boson_s_form_and_ref_text_make_the_same_prompt(tiny_server: TinyServer) -> None:
    words = "The words of the recording."
    boson = answer(
        tiny_server,
        said(words),
        said("", RECORDING, role="assistant"),
        said("Hello."),
        audio={"voice": "clone"},
    )
    ours = answer(tiny_server, said("Hello.", RECORDING), audio={"voice": "clone", "ref_text": words})
    untold = answer(tiny_server, said("Hello.", RECORDING), audio={"voice": "clone"})
    assert audio_of(boson) == audio_of(ours)
    assert audio_of(ours) != audio_of(untold)


def test_a_data_uri_is_the_same_recording(tiny_server: TinyServer) -> None:
    plain = answer(tiny_server, said("Hello.", RECORDING), audio={"voice": "clone"})
    uri = answer(
        tiny_server, said("Hello.", "data:audio/wav;base64," + RECORDING), audio={"voice": {"id": "clone"}}
    )
    assert audio_of(plain) == audio_of(uri)


def test_clone_without_a_recording_is_the_default_voice_and_says_so(tiny_server: TinyServer) -> None:
    body = answer(tiny_server, said("Hello."), audio={"voice": "clone"})
    assert body["voice"]["used"] == "default" and "no input_audio" in body["voice"]["note"]
    assert audio_of(body) == audio_of(answer(tiny_server, said("Hello.")))


def test_an_unusable_recording_is_refused_unless_a_fallback_is_asked_for(tiny_server: TinyServer) -> None:
    message = said("Hello.", NOT_AUDIO)
    status, code, param = refusal(tiny_server, message, audio={"voice": "clone"})
    assert (status, code) == (400, "audio_undecodable")
    assert param == "messages[0].content[1].input_audio.data"
    body = answer(tiny_server, message, audio={"voice": "clone", "fallback": "default"})
    assert body["voice"]["used"] == "default" and "can't be cloned" in body["voice"]["note"]


@pytest.mark.parametrize("voice", ["alloy", "cedar", {"id": "verse"}])
def test_openai_s_voices_are_the_default_voice_and_say_so(tiny_server: TinyServer, voice: Any) -> None:
    body = answer(tiny_server, said("Hello."), audio={"voice": voice})
    assert body["voice"]["used"] == "default" and "speaks for" in body["voice"]["note"]


def test_a_recording_that_is_not_used_is_said_so(tiny_server: TinyServer) -> None:
    body = answer(tiny_server, said("Hello.", RECORDING), audio={"voice": "default"})
    assert "input_audio was not used" in body["voice"]["note"]


def test_usage_and_the_end_of_a_short_budget(tiny_server: TinyServer) -> None:
    body = answer(tiny_server, said("Hello."), temperature=0)
    usage = body["usage"]
    assert body["choices"][0]["finish_reason"] == "length"
    assert usage["completion_tokens"] == usage["completion_tokens_details"]["audio_tokens"] == SHORT - 8
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_seed_is_drawn_told_and_repeatable(tiny_server: TinyServer) -> None:
    drawn = answer(tiny_server, said("Hello."), seed=None)
    again = answer(tiny_server, said("Hello."), seed=drawn["seed"])
    assert audio_of(drawn) == audio_of(again)


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found", "model"),
        ({"model": 3}, 400, "invalid_type", "model"),
        ({"messages": []}, 400, "invalid_value", "messages"),
        ({"messages": [said("Hi.", role="assistant")]}, 400, "text_empty", "messages"),
        ({"messages": [said("")]}, 400, "text_empty", "messages[0].content"),
        ({"messages": [{"role": "user", "content": 7}]}, 400, "invalid_type", "messages[0].content"),
        ({"messages": [{"role": "robot", "content": "Hi."}]}, 400, "invalid_value", "messages[0].role"),
        ({"messages": [{"content": "Hi."}]}, 400, "missing_required_parameter", "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "unsupported",
            "messages[0].content[0].type",
        ),
        ({"messages": [said("a" * 4097)]}, 413, "text_too_long", "messages[0].content"),
        ({"audio": {"voice": "nobody"}}, 404, "voice_not_found", "audio.voice"),
        ({"audio": {"voice": 5}}, 400, "invalid_type", "audio.voice"),
        ({"audio": {"format": "midi"}}, 400, "invalid_value", "audio.format"),
        ({"modalities": []}, 400, "unsupported", "modalities"),
        ({"n": 2}, 400, "unsupported", "n"),
        ({"temperature": "hot"}, 400, "invalid_type", "temperature"),
        ({"temperature": 2.5}, 400, "invalid_value", "temperature"),
        ({"top_p": 0}, 400, "invalid_value", "top_p"),
        ({"max_completion_tokens": 8}, 400, "invalid_value", "max_completion_tokens"),
    ],
)
def test_bad_fields_are_named(
    tiny_server: TinyServer, fields: Body, status: int, code: str, param: str
) -> None:
    response = ask(tiny_server, **{"messages": [said("Hello.")], **fields})
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_two_recordings_are_refused(tiny_server: TinyServer) -> None:
    found = refusal(tiny_server, said("Hello.", RECORDING, OTHER_RECORDING), audio={"voice": "clone"})
    assert found == (400, "multiple_references", "messages[0].content[2].input_audio.data")


def test_several_recordings_are_the_voices_of_the_speakers_in_the_text(tiny_server: TinyServer) -> None:
    text, seed = "[SPEAKER0] Hello. [SPEAKER1] Hello.", 2  # by which the first speaks as long as SHORT
    recorded = answer(tiny_server, said(text, RECORDING, RECORDING), audio={"voice": "clone"}, seed=seed)
    named = answer(tiny_server, said(text, RECORDING), audio={"voices": ["clone", "alloy"]}, seed=seed)
    assert recorded["voice"]["used"] == "clone, clone" and named["voice"]["used"] == "clone, default"
    assert "[SPEAKER1]: This model has only one built-in voice" in named["voice"]["note"]
    prompts = [body["usage"]["prompt_tokens_details"]["audio_tokens"] for body in (recorded, named)]
    assert prompts[0] == prompts[1] > 0  # SHORT ends before the second speaks
    boson = [said("[SPEAKER0] Words."), said("", RECORDING, role="assistant"), said("Hello.")]
    alone = answer(tiny_server, said("Hello.", RECORDING), audio={"voice": "clone", "ref_text": "Words."})
    assert audio_of(answer(tiny_server, *boson, audio={"voice": "clone"})) == audio_of(alone)


def test_voices_and_recordings_must_fit(tiny_server: TinyServer) -> None:
    text = "[SPEAKER0] Hello. [SPEAKER1] Hello."
    found = refusal(tiny_server, said(text, RECORDING), audio={"voices": ["clone", "clone"]})
    assert found == (400, "missing_required_parameter", "audio.voices[0]")
    found = refusal(tiny_server, said(text, RECORDING, OTHER_RECORDING), audio={"voices": ["clone", "echo"]})
    assert found == (400, "multiple_references", "messages[0].content[2].input_audio.data")
    found = refusal(tiny_server, said("[SPEAKER2] Hi."), audio={"voices": ["echo", "alloy"]})
    assert found == (400, "unknown_speaker", "messages[0].content")


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{]", {"content-type": "application/json"}, 400, "invalid_json"),
        (b"[1]", {"content-type": "application/json"}, 400, "invalid_type"),
        (b"", {"content-type": "application/json"}, 400, "missing_required_parameter"),
        (b"model=tiny", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ],
)
def test_bodies_that_are_no_request(
    tiny_server: TinyServer, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    response = httpx.post(f"{tiny_server.url}/v1/chat/completions", content=content, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_requests_at_once_all_get_their_own_answer(tiny_server: TinyServer) -> None:
    with ThreadPoolExecutor(6) as pool:
        texts = [f"Sentence number {number}." for number in range(6)]
        together = list(pool.map(lambda text: answer(tiny_server, said(text, RECORDING)), texts))
    alone = [answer(tiny_server, said(text, RECORDING)) for text in texts]
    assert [transcript_of(body) for body in together] == texts
    assert [audio_of(body) for body in together] == [audio_of(body) for body in alone]


@pytest.fixture
def narrow_server(endless_model: Path) -> Iterator[TinyServer]:
    """A server on which one request may wait, and speech goes on for ever."""
    settings = Settings(
        model=str(endless_model),
        device="cpu",
        slots=1,
        queue_limit=1,
        max_frames_per_byte=1e6,
        max_positions=200_000,
    )
    with ready(settings) as server:
        yield server


def test_a_full_queue_is_429_and_clients_that_leave_make_room(narrow_server: TinyServer) -> None:
    def post(client: httpx.AsyncClient, text: str, frames: int = SHORT) -> Awaitable[httpx.Response]:
        body = {"model": "tiny", "max_completion_tokens": frames, "messages": [said(text)]}
        return client.post("/v1/chat/completions", json=body)

    async def listen(client: httpx.AsyncClient) -> None:
        """Ask for endless speech, again while the queue is full."""
        while (await post(client, "On and on.", 190_000)).status_code == 429:
            pass

    async def told() -> tuple[httpx.Response, httpx.Response]:
        async with httpx.AsyncClient(base_url=narrow_server.url, timeout=60) as client:
            listeners = [asyncio.create_task(listen(client)) for _ in range(2)]
            while (await client.get("/health")).json()["waiting"] == 0:
                await asyncio.sleep(0.02)
            full = await post(client, "Hello.")
            for listener in listeners:
                listener.cancel()
            await asyncio.wait(listeners)
            soon = time.monotonic() + 60
            while (welcome := await post(client, "Hello.")).status_code == 429 and time.monotonic() < soon:
                await asyncio.sleep(0.02)
            return full, welcome

    full, welcome = run(told())
    assert (full.status_code, full.json()["error"]["code"]) == (429, "overloaded")
    assert int(full.headers["retry-after"]) > 0
    assert welcome.status_code == 200
