"""Fixtures for running test_voice_cloning.py under pytest; as a script it needs no pytest."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer

from test_voice_cloning import HUMAN_VOICES, RECORDING, Story, tell
from tests.forked import fork_server
from tests.live import BUNDLED_MODEL, LiveServer, any_server
from tests.scheduling import FolderScheduling


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()
    if config.getoption("numprocesses", None):
        fork_server()  # one for all workers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests of the same id: a worker would run one of them."""
    ids = Counter(item.nodeid for item in items)
    if several := [name for name, count in ids.items() if count > 1]:
        raise pytest.UsageError(f"several tests have the id {several[0]}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FolderScheduling:
    return FolderScheduling(config, log)


def pytest_collection_finish() -> None:
    """From here on the garbage collector passes over what is imported: half a million objects, which stay."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def story_server() -> Iterator[LiveServer]:
    """The server at VOICE_API_URL, or a new one with the bundled model."""
    url = os.environ.get("VOICE_API_URL")
    if not url and not (BUNDLED_MODEL / "model.safetensors").exists():
        pytest.skip(f"no bundled model at {BUNDLED_MODEL}, and VOICE_API_URL names no server")
    with any_server(url) as server:
        yield server


@pytest.fixture(scope="module")
def story(story_server: LiveServer) -> Story:
    return tell(story_server, RECORDING)


@pytest.fixture
def human_voices() -> Path:
    if not HUMAN_VOICES.is_dir():
        pytest.skip(f"no recordings of people at {HUMAN_VOICES}")
    return HUMAN_VOICES
