"""Times of words and captions, on every route that speaks. Kinds of fault: a word that is missing or out of
its audio, a stream that tells other times than the whole answer, a client of OpenAI's that breaks."""

import base64
import io
import json
import re
from typing import Any

import httpx
import pytest
import soundfile
from openai import OpenAI

from tests.live import LiveServer
from tests.tiny_server import TinyServer

TEXT = "Good **morning**! It costs $5.50 [pause 0.5s] on 25 Dec 2024."
WORDS = ["Good", "morning", "It", "costs", "$5.50", "on", "25", "Dec", "2024"]
SPEECH = {"model": "tts-1", "input": TEXT, "seed": 3, "response_format": "wav"}
TIMES = {"timestamp_granularities": ["word"]}
CUE = re.compile(r"(\d\d:\d\d:\d\d[.,]\d{3}) --> (\d\d:\d\d:\d\d[.,]\d{3})\n(.+)\n")


def check(words: list[dict[str, Any]], seconds: float) -> None:
    assert [word["word"] for word in words] == WORDS
    times = [time for word in words for time in (word["start"], word["end"])]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= seconds + 1e-3


def seconds_of(data: bytes) -> float:
    samples, rate = soundfile.read(io.BytesIO(data))
    return len(samples) / rate


def events(server_url: str, **fields: Any) -> list[dict[str, Any]]:
    body = SPEECH | {"stream_format": "sse", "response_format": "pcm"} | fields
    answer = httpx.post(f"{server_url}/v1/audio/speech", json=body, timeout=300)
    assert answer.status_code == 200, answer.text
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]


def words_in(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [word for event in found if event["type"] == "speech.audio.words" for word in event["words"]]


def test_a_whole_speech_brings_its_words_and_captions(tiny_server: TinyServer) -> None:
    """The model of the tests has no book of what it reads, and makes noise: the times are estimated."""
    body = SPEECH | TIMES | {"caption_format": "srt"}
    answer = httpx.post(f"{tiny_server.url}/v1/audio/speech", json=body, timeout=300)
    found = answer.json()
    assert answer.headers["x-seed"] == str(found["seed"]) == "3" and found["media_type"] == "audio/wav"
    check(found["words"], seconds_of(base64.b64decode(found["audio"])))
    cues = CUE.findall(found["captions"])
    assert [shown for _, _, shown in cues] == ["Good morning!", "It costs $5.50 on 25 Dec 2024."]
    alone = httpx.post(
        f"{tiny_server.url}/v1/audio/speech", json=SPEECH | {"caption_format": "vtt"}, timeout=300
    )
    assert alone.json()["words"] is None and alone.json()["captions"].startswith("WEBVTT")


def test_vllm_omni_s_field_gives_a_file_with_a_header(tiny_server: TinyServer) -> None:
    body = SPEECH | {"word_timestamps": True}
    answer = httpx.post(f"{tiny_server.url}/v1/audio/speech", json=body, timeout=300)
    told = json.loads(answer.headers["x-word-timestamps"])
    words = [{"word": w["word"], "start": w["start_ms"] / 1000, "end": w["end_ms"] / 1000} for w in told]
    check(words, seconds_of(answer.content))


def test_a_chat_brings_its_words_to_openai_s_client(client: OpenAI) -> None:
    # With this seed the random model ends by itself; the client refuses speech that a limit ended.
    fields = {"extra_body": TIMES | {"caption_format": "vtt"}, "seed": 4, "modalities": ["text", "audio"]}
    asked: Any = {"model": "tts-1", "messages": [{"role": "user", "content": TEXT}], **fields}
    audio: Any = client.chat.completions.create(**asked, audio={"voice": "default", "format": "wav"})
    audio = audio.choices[0].message.audio
    check(audio.words, seconds_of(base64.b64decode(audio.data)))
    assert audio.transcript == TEXT and "25 Dec 2024." in audio.captions
    asked |= {"audio": {"voice": "default", "format": "pcm16"}}
    with client.chat.completions.stream(**asked) as stream:
        last: Any = stream.get_final_completion().choices[0].message.audio
    words = [word if isinstance(word, dict) else word.model_dump() for word in last.words]
    check(words, len(base64.b64decode(last.data)) / 48_000)
    assert [word["index"] for word in words] == list(range(len(WORDS))) and "WEBVTT" in last.captions


def test_a_batch_brings_words_for_the_items_that_ask(tiny_server: TinyServer) -> None:
    items = [{"input": TEXT, **TIMES}, {"input": "Hi.", "caption_format": "srt"}, {"input": "Hi."}]
    body = {"model": "tts-1", "response_format": "wav", "items": items}
    answer = httpx.post(f"{tiny_server.url}/v1/audio/speech/batch", json=body, timeout=300)
    timed, shown, plain = answer.json()["results"]
    check(timed["words"], seconds_of(base64.b64decode(timed["audio_data"])))
    assert "Hi." in shown["captions"] and (plain["words"], plain["captions"]) == (None, None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"timestamp_granularities": ["segment"]}, "timestamp_granularities[0]"),
        ({"timestamp_granularities": "word"}, "timestamp_granularities"),
        ({"caption_format": "ass"}, "caption_format"),
        ({"word_timestamps": 1}, "word_timestamps"),
        ({"pronunciations": {"<b>": "x"}}, "pronunciations"),
        ({"pronunciations": {"Nguyen": "/win/"}}, "pronunciations"),
        ({"pronunciations": ["Nguyen"]}, "pronunciations"),
    ],
)
def test_what_cannot_be_told_is_refused(tiny_server: TinyServer, fields: dict[str, Any], param: str) -> None:
    answer = httpx.post(f"{tiny_server.url}/v1/audio/speech", json=SPEECH | fields, timeout=300)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param, answer.text
    assert not answer.json()["error"]["message"].endswith("..")


def test_a_transcript_has_no_spoken_words(tiny_server: TinyServer) -> None:
    body = {
        "model": "tts-1",
        "modalities": ["text"],
        "messages": [{"role": "user", "content": "Hi."}],
        **TIMES,
    }
    answer = httpx.post(f"{tiny_server.url}/v1/chat/completions", json=body)
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("unsupported", "timestamp_granularities")


def test_the_bundled_model_tells_words_while_it_speaks(live_server: LiveServer) -> None:
    """Its codes tell the times: a stream has them early, and the same as a whole answer."""
    streamed = events(live_server.url, **TIMES, caption_format="srt")
    kinds = [event["type"] for event in streamed]
    assert kinds.index("speech.audio.words") < len(kinds) - 4
    audio = b"".join(base64.b64decode(event["audio"]) for event in streamed if "audio" in event)
    words = words_in(streamed)
    check(words, len(audio) / 48_000)
    assert "$5.50" in streamed[-1]["captions"]
    whole = httpx.post(f"{live_server.url}/v1/audio/speech", json=SPEECH | TIMES, timeout=300).json()
    assert whole["words"] == words
    # The pause stands between the words around it, and all words last a moment.
    places = {word["word"]: word for word in words}
    assert places["on"]["start"] - places["$5.50"]["end"] > 0.5
    assert all(word["end"] > word["start"] for word in words)
    fast = words_in(events(live_server.url, **TIMES, speed=2.0))
    assert fast[-1]["end"] == pytest.approx((words[-1]["end"] - 0.5) / 2 + 0.5, abs=0.1)
