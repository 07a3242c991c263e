"""WS /v1/realtime: text in, speech out."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import InvalidStatus

from audio.raw import samples_of
from tests.api.realtime_client import (
    SECONDS,
    configured,
    connected,
    event,
    message,
    recording_pcm,
    sound,
    until,
)
from tests.api.test_chat import RECORDING
from tests.tiny_server import TinyServer

ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


def test_a_sentence_outside_of_the_conversation(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        session = await configured(link)
        assert session.audio.output.format.type == "audio/pcm" and session.audio.output.voice == "default"
        await link.response.create(
            response={
                "conversation": "none",
                "input": [message("Hello world.")],
                "output_modalities": ["audio"],
                "metadata": {"sentence": "1"},
            }
        )
        events = await until(link, "response.done")
        kinds = list(dict.fromkeys(e.type for e in events))
        assert kinds == [kind for kind in ORDER if not kind.startswith("conversation")]
        response = events[-1].response
        assert (response.status, response.conversation_id, response.metadata) == (
            "incomplete",
            None,
            {"sentence": "1"},
        )
        assert response.output[0].content[0].transcript == "Hello world."
        assert response.usage.output_tokens == SECONDS * 25
        asked = {
            "model": "tiny",
            "input": "Hello world.",
            "response_format": "pcm",
            "seed": 1,
            "temperature": 0,
        }
        whole = httpx.post(f"{tiny_server.url}/v1/audio/speech", json=asked | {"max_tokens": 58}, timeout=240)
        spoken, other = (np.frombuffer(data, "<i2").astype(int) for data in (sound(events), whole.content))
        np.testing.assert_allclose(spoken, other, atol=2)

    connected(tiny_server, talk)


def test_the_default_conversation_speaks_its_last_user_message(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(
            link, audio={"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "speed": 1.5}}
        )
        for text in ("First.", "Say it: last."):
            await link.conversation.item.create(item=message(text))
            added, done = await event(link), await event(link)
            assert (added.type, done.type) == ("conversation.item.added", "conversation.item.done")
        await link.response.create()
        events = await until(link, "response.done")
        assert list(dict.fromkeys(e.type for e in events)) == ORDER
        spoken = events[-1].response.output[0]
        assert spoken.content[0].transcript == "Say it: last."  # as it is, instructions too
        assert len(sound(events)) / 48_000 == pytest.approx(SECONDS / 1.5, abs=0.06)
        await link.conversation.item.truncate(item_id=spoken.id, content_index=0, audio_end_ms=500)
        assert (await event(link)).type == "conversation.item.truncated"
        await link.conversation.item.retrieve(item_id=spoken.id)
        kept = (await event(link)).item
        assert kept.content[0].transcript == "" and len(base64.b64decode(kept.content[0].audio)) == 24_000
        await link.conversation.item.truncate(item_id=spoken.id, content_index=0, audio_end_ms=9_000)
        assert (await event(link)).error.param == "audio_end_ms"
        await link.conversation.item.delete(item_id=spoken.id)
        assert (await event(link)).type == "conversation.item.deleted"
        await link.conversation.item.delete(item_id=spoken.id)
        assert (await event(link)).error.code == "item_not_found"

    connected(tiny_server, talk)


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_the_telephone_s_formats(tiny_server: TinyServer, law: str) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        heard = {}
        for format in ("pcm", law):
            output: Any = {"format": {"type": f"audio/{format}"}}
            await link.response.create(
                response={"conversation": "none", "input": [message("Hello.")], "audio": {"output": output}}
            )
            heard[format] = sound(await until(link, "response.done"))
        assert len(heard[law]) / 8_000 == pytest.approx(SECONDS, abs=0.01)
        lossless, lossy = np.frombuffer(heard["pcm"], "<i2"), samples_of(heard[law], law)
        length = min(len(lossless), len(lossy))
        assert length / 24_000 == pytest.approx(SECONDS, abs=0.01)
        one, other = (np.abs(np.fft.rfft(each[:length].astype(float)))[:6_800] for each in (lossless, lossy))
        assert np.corrcoef(one, other)[0, 1] > 0.9

    async def configure_and_talk(link: AsyncRealtimeConnection) -> None:
        await configured(link)
        await talk(link)

    connected(tiny_server, configure_and_talk)


def test_voices_by_name_by_id_and_from_the_input_buffer(tiny_server: TinyServer) -> None:
    async def spoken(link: AsyncRealtimeConnection, voice: Any) -> tuple[Any, bytes]:
        await link.response.create(
            response={
                "conversation": "none",
                "input": [message("Hello.")],
                "audio": {"output": {"voice": voice}},
            }
        )
        events = await until(link, "response.done")
        return events[0].response, sound(events)

    async def talk(link: AsyncRealtimeConnection) -> None:
        await configured(link)
        pcm = recording_pcm()
        for start in range(0, len(pcm), 65_536):
            await link.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + 65_536]).decode())
        await link.input_audio_buffer.commit()
        events = await until(link, "conversation.item.done")
        assert events[0].type == "input_audio_buffer.committed" and events[0].item_id == events[-1].item.id
        default, own = await spoken(link, "alloy")
        clone, cloned = await spoken(link, "clone")
        assert default.voice_used["used"] == "default" and clone.voice_used["used"] == "clone"
        assert own != cloned
        files = {"audio_sample": ("me.wav", base64.b64decode(RECORDING), "audio/wav")}
        made = httpx.post(
            f"{tiny_server.url}/v1/audio/voices", data={"name": "Realtime"}, files=files, timeout=120
        )
        kept, _ = await spoken(link, {"id": made.json()["id"]})
        assert kept.voice_used["used"] == made.json()["id"]
        await link.response.create(
            response={"input": [message("Hi.")], "audio": {"output": {"voice": "nobody"}}}
        )
        refused = await event(link)
        assert (refused.error.code, refused.error.param) == ("voice_not_found", "response.audio.output.voice")

    connected(tiny_server, talk)


def test_one_response_at_a_time_speaks_in_the_conversation_and_can_be_cancelled(
    endless_server: TinyServer,
) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        await link.response.create(response={"input": [message("An endless text. " * 20)]})
        await until(link, "response.output_audio.delta")
        await link.response.create(response={"input": [message("Hello.")]})
        while (told := await event(link)).type != "error":
            pass
        assert told.error.code == "conversation_already_has_active_response"
        await link.response.cancel()
        done = (await until(link, "response.done"))[-1].response
        assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")
        assert done.output[0].status == "incomplete"
        await link.response.cancel(event_id="again")
        told = (await event(link)).error
        assert (told.code, told.event_id) == ("response_cancel_not_active", "again")
        await link.response.create(response={"input": [message("Hello.")], "max_output_tokens": 30})
        assert (await until(link, "response.done"))[
            -1
        ].response.status == "incomplete"  # as long as it may be

    connected(endless_server, talk)


def of_input(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def of_output(**fields: Any) -> dict[str, Any]:
    return {"audio": {"output": fields}}


VAD: dict[str, Any] = {"type": "server_vad", "create_response": True}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"tools": [{"type": "function", "name": "look_up"}]}, "unsupported", "session.tools"),
    ({"output_modalities": ["text"]}, "unsupported", "session.output_modalities"),
    (of_input(turn_detection={"type": "semantic_vad"}), "unsupported", "input.turn_detection.type"),
    (of_input(turn_detection=VAD), "unsupported", "input.turn_detection.create_response"),
    (of_input(transcription={"language": "x" * 65}), "invalid_value", "input.transcription.language"),
    (of_input(noise_reduction={"type": "near_field"}), "unsupported", "session.audio.input.noise_reduction"),
    (of_output(speed=4.0), "invalid_value", "session.audio.output.speed"),
    (of_output(format={"type": "audio/mp3"}), "invalid_value", "session.audio.output.format.type"),
    ({"model": "gpt-4o"}, "model_not_found", "model"),
    ({"voice": "nora"}, "unsupported", "session.voice"),  # the API's beta had these
    ({"output_audio_format": "g711_ulaw"}, "unsupported", "session.output_audio_format"),
    ({"turn_detection": {"type": "server_vad"}}, "unsupported", "session.turn_detection"),
    ({"instructions": "x" * 5_000}, "invalid_value", "session.instructions"),
    (of_output(voice="nobody"), "voice_not_found", "session.audio.output.voice"),
    ({"timestamp_granularities": ["segment"]}, "invalid_value", "session.timestamp_granularities[0]"),
]


def test_what_is_not_done_here_is_refused_by_its_name(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        for fields, code, param in REFUSED:
            session: Any = {"type": "realtime", **fields}
            await link.session.update(session=session, event_id=code)
            error = (await event(link)).error
            assert (error.code, error.event_id) == (code, code) and error.param.endswith(param), error
        item: Any = {"type": "function_call_output", "call_id": "1", "output": "x"}
        await link.conversation.item.create(item=item)
        assert (await event(link)).type == "error"
        heard = message("Hi.", {"type": "input_audio", "transcript": "x" * 2_001})
        said = [{"type": "output_audio", "transcript": "x" * 9_000}]
        for item in (message("x" * 9_000), heard, message("Hi.", *said), message("Hi.") | {"content": said}):
            await link.conversation.item.create(item=item)
            assert (await event(link)).error.code == "text_too_long"
        await link.response.create(response={"input": [heard]})
        assert (await event(link)).error.code == "text_too_long"
        await link.response.create()
        assert (await event(link)).error.code == "text_empty"
        await link.send({"type": "output_audio_buffer.clear"})
        assert (await event(link)).error.code == "unknown_message"
        await link.input_audio_buffer.append(audio="%%%")
        assert (await event(link)).error.code == "invalid_base64"
        await link.input_audio_buffer.commit()
        assert (await event(link)).error.code == "input_audio_buffer_commit_empty"
        await link.input_audio_buffer.append(audio=base64.b64encode(bytes(48_000 * 121)).decode())
        assert (await event(link)).error.code == "input_audio_buffer_full"
        await configured(link)  # and the session is as it was

    connected(tiny_server, talk)


def test_an_unknown_model_is_refused_before_the_session(tiny_server: TinyServer) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None: ...

    for options in ({"model": "gpt-4o"}, {"model": "gpt-realtime", "call_id": "rtc_1"}):
        with pytest.raises(InvalidStatus) as refused:
            connected(tiny_server, talk, **options)
        assert refused.value.response.status_code in (400, 404)
