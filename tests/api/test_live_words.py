"""Times of words, captions and pronunciations over WebSockets. Kinds of fault: a word that is missing or out
of its audio, a transcript whose deltas aren't the text, a stream that tells other times than a request."""

import base64
from typing import Any

import httpx
import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.api.realtime_client import configured, connected, event, message, sound, until
from tests.api.test_speech_stream import CONFIG, heard, send, session
from tests.live import LiveServer
from tests.tiny_server import TinyServer

TIMES: dict[str, Any] = {"timestamp_granularities": ["word"]}
TEXT = "It costs $5.50. Really?"
BYTES_PER_SECOND = 48_000


def in_order(words: list[dict[str, Any]], seconds: float) -> bool:
    times = [time for word in words for time in (word["start"], word["end"])]
    return times == sorted(times) and times[0] >= 0 and times[-1] <= seconds + 1e-3


@pytest.mark.parametrize("stream_audio", [True, False])
def test_each_part_tells_its_words_and_captions(tiny_server: TinyServer, stream_audio: bool) -> None:
    asked = TIMES | {"caption_format": "srt", "split_granularity": "sentence", "stream_audio": stream_audio}
    with session(tiny_server, **asked) as socket:
        send(socket, "input.text", text=TEXT)
        send(socket, "input.done")
        spoken = heard(socket)
    words: list[list[dict[str, Any]]] = [[], []]
    for each in spoken.of("audio.words"):
        words[each["sentence_index"]] += each["words"]
    assert [[word["word"] for word in part] for part in words] == [["It", "costs", "$5.50"], ["Really"]]
    for part, data in zip(words, spoken.parts, strict=True):
        assert in_order(part, len(data) / BYTES_PER_SECOND)
    assert words[1][0]["start"] >= 0.25  # behind the pause between the sentences
    shown = [each["captions"].splitlines()[2] for each in spoken.of("audio.done")]
    assert shown == ["It costs $5.50.", "Really?"]


def test_vllm_omni_s_word_timestamps_bring_sound_in_events(tiny_server: TinyServer) -> None:
    with session(tiny_server, word_timestamps=True, stream_audio=True, split_granularity="none") as socket:
        send(socket, "input.text", text=TEXT)
        send(socket, "input.done")
        spoken = heard(socket)
    *chunks, last = spoken.of("audio.chunk")
    assert spoken.of("audio.start")[0]["word_timestamps"] is True and not any(spoken.parts)
    assert [each["chunk_id"] for each in (*chunks, last)] == list(range(len(chunks) + 1))
    data = b"".join(base64.b64decode(each["audio_b64"]) for each in chunks)
    assert len(data) == spoken.of("audio.done")[0]["total_bytes"] > 0
    assert last["audio_b64"] == "" and not any(each["timestamps"] for each in chunks)
    assert [word["word"] for word in last["timestamps"]] == ["It", "costs", "$5.50", "Really"]
    assert last["timestamps"][-1]["end_ms"] <= 1000 * len(data) / BYTES_PER_SECOND + 1


def test_a_response_brings_its_transcript_with_its_words(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        shown = await configured(link, **TIMES)
        assert shown.timestamp_granularities == ["word"]
        asked: Any = {"conversation": "none", "input": [message(TEXT)]}
        await link.response.create(response=asked | {"caption_format": "vtt"})
        events = await until(link, "response.done")
        deltas = [each for each in events if each.type == "response.output_audio_transcript.delta"]
        words = [word for each in deltas for word in each.words]
        assert "".join(each.delta for each in deltas) == TEXT
        assert [word["word"] for word in words] == ["It", "costs", "$5.50", "Really"]
        assert in_order(words, len(sound(events)) / BYTES_PER_SECOND)
        done = next(each for each in events if each.type == "response.output_audio_transcript.done")
        assert done.words == words and done.captions.startswith("WEBVTT") and done.transcript == TEXT
        plain: Any = asked | {"timestamp_granularities": []}
        await link.response.create(response=plain)
        events = await until(link, "response.done")
        deltas = [each for each in events if each.type == "response.output_audio_transcript.delta"]
        assert [each.delta for each in deltas] == [TEXT] and not hasattr(deltas[0], "words")

    connected(tiny_server, talk)


def test_pronunciations_of_a_session_and_a_response(tiny_server: TinyServer) -> None:
    def whole(text: str) -> bytes:
        asked = CONFIG | {"model": "tiny", "input": text}
        return httpx.post(f"{tiny_server.url}/v1/audio/speech", json=asked, timeout=60).content

    async def spoken(link: AsyncRealtimeConnection, **fields: Any) -> tuple[bytes, str]:
        asked: Any = {"conversation": "none", "input": [message("Hi Nguyen.")], **fields}
        await link.response.create(response=asked)
        events = await until(link, "response.done")
        return sound(events), events[-1].response.output[0].content[0].transcript

    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(link, pronunciations={"Nguyen": "win"}, max_output_tokens=CONFIG["max_tokens"])
        assert await spoken(link) == (whole("Hi win."), "Hi Nguyen.")
        other, _ = await spoken(link, pronunciations={"Nguyen": "nu yen"})
        assert other == whole("Hi nu yen.") != whole("Hi win.")
        assert (await spoken(link, pronunciations={}))[0] == whole("Hi Nguyen.")
        refused: Any = {"type": "realtime", "pronunciations": {"Nguyen": "{W IH1 N}"}}
        await link.session.update(session=refused)
        assert (await event(link)).error.param == "session.pronunciations"

    connected(tiny_server, talk)


def test_the_bundled_model_tells_words_of_a_part_while_it_speaks(live_server: LiveServer) -> None:
    text = "When it had rained, we paid $5.50 for a boat and left."
    asked = {"seed": 3, "response_format": "pcm", **TIMES}
    own: dict[str, Any] = {"temperature": None, "max_tokens": None}
    with session(live_server, **asked, **own, stream_audio=True, split_granularity="none") as socket:
        send(socket, "input.text", text=text)
        send(socket, "input.done")
        spoken = heard(socket)
    kinds = [each["type"] for each in spoken.events]
    assert kinds.count("audio.words") > 2
    words = [word for each in spoken.of("audio.words") for word in each["words"]]
    body = asked | {"model": "tts-1", "input": text}
    whole = httpx.post(f"{live_server.url}/v1/audio/speech", json=body, timeout=300).json()
    assert words == whole["words"]
