"""One tiny server for all tests of the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from settings import Settings
from tests.tiny_server import TinyServer, ready, write_endless_model, write_whole_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whole_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_server(tiny_model: Path) -> Iterator[TinyServer]:
    with ready(Settings(model=str(tiny_model), device="cpu")) as server:
        yield server


@pytest.fixture(scope="session")
def client(tiny_server: TinyServer) -> OpenAI:
    return OpenAI(base_url=f"{tiny_server.url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="session")
def endless_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_endless_model(tmp_path_factory.mktemp("endless") / "tiny")


@pytest.fixture
def endless_server(endless_model: Path) -> Iterator[TinyServer]:
    """A server with room for one request, whose speech never ends."""
    settings = Settings(model=str(endless_model), device="cpu", slots=1, max_frames_per_byte=1e6)
    with ready(settings) as server:
        yield server
