"""OpenAI's own Python client on WS /v1/realtime: its types, asked strictly, are the judge of our events."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from audio.decode import decode_audio
from tests.api.test_chat import RECORDING
from tests.event_loop import run
from tests.live import LiveServer
from tests.tiny_server import TinyServer

EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
SAMPLING: dict[str, Any] = {"seed": 1, "temperature": 0, "max_output_tokens": 58}
SECONDS = 2.0


def connected(
    server: TinyServer | LiveServer,
    talk: Callable[[AsyncRealtimeConnection], Awaitable[None]],
    **options: Any,
) -> None:
    async def converse() -> None:
        client = AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key=options.pop("api_key", "none"), max_retries=0
        )
        async with (
            asyncio.timeout(240),
            client.realtime.connect(**({"model": "gpt-realtime"} | options)) as link,
        ):
            assert (await event(link)).type == "session.created"
            await talk(link)

    run(converse())


async def event(link: AsyncRealtimeConnection) -> Any:
    """The next event, if the SDK's own types, asked strictly, take it."""
    return EVENTS.validate_json(await link.recv_bytes(), strict=True)


async def until(link: AsyncRealtimeConnection, kind: str) -> list[Any]:
    found = [await event(link)]
    while found[-1].type != kind:
        assert found[-1].type != "error", found[-1]
        found.append(await event(link))
    return found


async def configured(link: AsyncRealtimeConnection, **fields: Any) -> Any:
    session: Any = {"type": "realtime", **SAMPLING, **fields}
    await link.session.update(session=session)
    return (await until(link, "session.updated"))[-1].session


def message(text: str, *parts: dict[str, Any], **fields: Any) -> Any:
    return {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}, *parts],
        **fields,
    }


def sound(events: list[Any]) -> bytes:
    return b"".join(
        base64.b64decode(e.delta, validate=True) for e in events if e.type.endswith("audio.delta")
    )


def recording_pcm() -> bytes:
    samples = decode_audio(base64.b64decode(RECORDING))
    return np.round(samples * 32_767).astype("<i2").tobytes()
