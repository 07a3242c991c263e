"""Transcriptions and translations through the official SDK, over real HTTP, by pocketsphinx."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.audio import Transcription, TranscriptionVerbose

from asr.words import word_error_rate
from tests.audio.media import SENTENCE, float_wav, sentence, sound_file
from tests.event_loop import run
from tests.live import ROOT
from tests.tiny_server import TinyServer

WORDS = (ROOT / "test_audio.txt").read_text()
FILE = ("clip.wav", float_wav(sentence()))


def transcribe(client: OpenAI, file: Any = FILE, **fields: Any) -> Any:
    return client.audio.transcriptions.create(file=file, **({"model": "whisper-1"} | fields))


def understood(text: str, said: str = SENTENCE) -> bool:
    return word_error_rate(said, text) <= 0.25


def test_a_file_becomes_text(client: OpenAI) -> None:
    answer = transcribe(client)
    Transcription.model_validate_json(answer.to_json(exclude_unset=False), strict=True)
    assert understood(answer.text)
    assert [language.code for language in answer.languages] == ["en"]
    assert answer.usage.seconds == pytest.approx(len(sentence()) / 24_000, abs=0.01)


def test_the_async_client_and_a_video(tiny_server: TinyServer) -> None:
    async def ask() -> str:
        async with AsyncOpenAI(base_url=f"{tiny_server.url}/v1", api_key="none") as client:
            video = ("clip.webm", sound_file("webm"))
            answer = await client.audio.transcriptions.create(file=video, model="gpt-4o-transcribe")
            return answer.text

    assert understood(run(ask()), WORDS)


def test_the_other_formats(client: OpenAI) -> None:
    assert understood(transcribe(client, response_format="text"))
    srt = transcribe(client, response_format="srt")
    assert srt.startswith("1\n00:00:00,") and " --> 00:00:0" in srt and srt.endswith("\n\n")
    vtt = transcribe(client, response_format="vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.") and "," not in vtt


def test_verbose_json_has_what_it_is_asked_for(client: OpenAI) -> None:
    both = transcribe(client, response_format="verbose_json", timestamp_granularities=["word", "segment"])
    TranscriptionVerbose.model_validate_json(both.to_json(exclude_unset=False), strict=True)
    assert (both.language, both.task) == ("english", "transcribe")
    assert " ".join(word.word for word in both.words) == both.text
    assert "".join(segment.text for segment in both.segments).strip() == both.text
    assert both.segments[-1].end <= both.duration == pytest.approx(len(sentence()) / 24_000, abs=0.01)
    assert all(segment.avg_logprob < 0 < segment.compression_ratio for segment in both.segments)
    segments = transcribe(client, response_format="verbose_json", language="en-GB")
    assert segments.segments and segments.words is None
    words = transcribe(client, response_format="verbose_json", timestamp_granularities=["word"])
    assert words.words and words.segments is None


def test_a_stream_of_a_long_file_brings_a_delta_for_each_window(client: OpenAI) -> None:
    long = float_wav(np.concatenate([sentence(), np.zeros(8 * 24_000, np.float32)] * 4))
    events = list(transcribe(client, ("long.wav", long), stream=True))
    *deltas, done = events
    assert [event.type for event in deltas] == ["transcript.text.delta"] * len(deltas) and len(deltas) > 1
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == done.text
    assert understood(done.text, f"{SENTENCE} " * 4)
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens
    assert done.usage.output_tokens == len(done.text.split())
    assert done.usage.input_token_details.audio_tokens == done.usage.input_tokens
    assert [language.code for language in done.languages] == ["en"]


def test_translation_of_english_is_english(client: OpenAI) -> None:
    answer = client.audio.translations.create(file=FILE, model="whisper-1", response_format="verbose_json")
    assert answer.language == "english" and understood(answer.text)


def test_nobody_speaks(client: OpenAI) -> None:
    silence = ("silence.wav", float_wav(np.zeros(24_000, np.float32)))
    assert transcribe(client, silence).text == ""
    (done,) = transcribe(client, silence, stream=True)
    assert done.text == "" and done.usage.output_tokens == 0 and done.languages == []


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found", "model"),
        ({"language": "de"}, 400, "unsupported_language", "language"),
        ({"file": ("x.wav", b"not a sound")}, 400, "audio_undecodable", "file"),
        ({"file": ("x.wav", b"")}, 400, "audio_empty", "file"),
        ({"response_format": "diarised_json"}, 400, "invalid_value", "response_format"),
        ({"temperature": 2}, 400, "invalid_value", "temperature"),
        ({"timestamp_granularities": ["word"]}, 400, "invalid_value", "timestamp_granularities[]"),
        ({"stream": True, "response_format": "srt"}, 400, "invalid_value", "response_format"),
    ],
)
def test_bad_fields_are_named(
    client: OpenAI, fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        transcribe(client, **fields)
    assert (refused.value.status_code, refused.value.code, refused.value.param) == (status, code, param)


@pytest.mark.parametrize("route", ["transcriptions", "translations"])
def test_bodies_that_are_no_form(tiny_server: TinyServer, route: str) -> None:
    url = f"{tiny_server.url}/v1/audio/{route}"
    cases: list[tuple[dict[str, Any], int, str, str | None]] = [
        ({"json": {"file": "x"}}, 415, "unsupported_media_type", None),
        ({"files": {"model": (None, "whisper-1")}}, 400, "missing_required_parameter", "file"),
        ({"files": {"file": FILE}}, 400, "missing_required_parameter", "model"),
        ({"files": {"file": (None, "words"), "model": (None, "whisper-1")}}, 400, "invalid_value", "file"),
    ]
    for body, status, code, param in cases:
        response = httpx.post(url, **body)
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (status, code, param), body


def test_a_file_beyond_the_limit(tiny_server: TinyServer) -> None:
    limit = tiny_server.app.state.server.limits.upload_bytes
    for size, param in ((limit + 1, "file"), (3 * limit + 1, "body")):
        form: Any = {"file": ("big.wav", bytes(size)), "model": (None, "whisper-1")}
        response = httpx.post(f"{tiny_server.url}/v1/audio/transcriptions", files=form, timeout=60)
        assert (response.status_code, response.json()["error"]["param"]) == (413, param)


@pytest.fixture
def listening(client: OpenAI) -> Iterator[threading.Thread]:
    """Someone has a file transcribed."""
    work = threading.Thread(target=transcribe, args=(client,))
    work.start()
    yield work
    work.join()


def test_the_server_goes_on_while_it_listens(tiny_server: TinyServer, listening: threading.Thread) -> None:
    waits = []
    while listening.is_alive():
        asked = time.monotonic()
        assert httpx.get(f"{tiny_server.url}/health").status_code == 200
        waits.append(time.monotonic() - asked)
    assert len(waits) > 5 and np.median(waits) < 0.5
