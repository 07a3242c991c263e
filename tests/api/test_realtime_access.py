"""Who may open a Realtime session, and what ends one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import openai
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import ClientSecretCreateResponse
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus

from settings import Settings
from tests.api.realtime_client import connected, event
from tests.event_loop import run
from tests.tiny_server import TinyServer, ready, write_whole_model


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    model = write_whole_model(tmp_path_factory.mktemp("guarded") / "tiny")
    with ready(Settings(model=str(model), device="cpu", api_keys=SecretStr("ann"))) as server:
        yield server


@asynccontextmanager
async def a_client(server: TinyServer, key: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
        yield client


def test_a_client_secret_opens_sessions_and_nothing_else(guarded: TinyServer) -> None:
    async def use() -> None:
        async with a_client(guarded, "ann") as owner:
            made = await owner.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 60},
                session={"type": "realtime", "instructions": "Softly.", "audio": {"output": {"speed": 1.25}}},
            )
        ClientSecretCreateResponse.model_validate_json(made.to_json(exclude_unset=False))
        assert made.value.startswith("ek_")
        async with a_client(guarded, made.value) as browser:
            async with browser.realtime.connect(model="gpt-realtime") as link:
                session = (await event(link)).session
                assert session.instructions == "Softly." and session.audio.output.speed == 1.25
            with pytest.raises(openai.AuthenticationError):
                await browser.models.list()
        for key in ("eve", "ek_unknown"):
            async with a_client(guarded, key) as stranger:
                with pytest.raises(InvalidStatus) as refused:
                    await stranger.realtime.connect(model="gpt-realtime").enter()
                assert refused.value.response.status_code == 401

    run(use())


@pytest.mark.parametrize(("frame", "code"), [("{", 1007), (b"\x00", 1003), ("x" * 17_000_000, 1009)])
def test_hostile_frames_close(tiny_server: TinyServer, frame: str | bytes, code: int) -> None:
    async def talk(link: AsyncRealtimeConnection) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            await link._connection.send(frame)
            while True:
                await event(link)
        received = (
            closed.value.rcvd
        )  # None where the connection was reset while the frame was still being sent
        assert received.code == code if received else len(frame) > 1_000

    connected(tiny_server, talk)
