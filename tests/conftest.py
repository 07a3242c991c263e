"""Fixtures that several test files share."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.live import BUNDLED_MODEL, LiveServer, serve
from tests.voices.servers import RedisServer, program, redis

# A busy machine is no failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Voices are kept in a folder of the tests'; each test that keeps some brings a folder of its own."""
    os.environ["HIGGS_DATA_DIR"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session", autouse=True)
def no_certificates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Spare each `httpx.get` reading all certificates, 25 ms: the tests' servers speak plain HTTP."""
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = str(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """`python app.py` on the bundled model, in a process of its own."""
    if not BUNDLED_MODEL.is_dir():
        pytest.skip(f"no bundled model at {BUNDLED_MODEL}")
    with serve(BUNDLED_MODEL) as server:
        yield server


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if program("redis-server") is None:
        pytest.skip("redis-server is not installed; .ci/run installs it")
    with redis(tmp_path_factory.mktemp("redis")) as server:
        yield server
