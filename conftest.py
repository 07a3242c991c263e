"""The order of the tests, and fixtures for running test_voice_cloning.py; as a script it needs no pytest."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_voice_cloning import HUMAN_VOICES, RECORDING, Story, tell
from tests.live import BUNDLED_MODEL, ROOT, LiveServer, any_server

# These start servers, and take longest. They come first, so that no worker ends long after the others.
SLOW = (
    "tests/web/",
    "test_voice_cloning.py",
    "tests/voices/",
    "tests/jobs/",
    "tests/test_serving.py",
    "tests/test_docs.py",
    "tests/api/",
)
# All files of these share a browser or databases, which one worker starts for them.
SHARING = ("tests/web/", "tests/voices/")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in this hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, slow ones first, and have pytest-xdist give each file, or folder, to one worker."""

    def rank(item: pytest.Item) -> int:
        path = path_of(item)
        return next((number for number, start in enumerate(SLOW) if path.startswith(start)), len(SLOW))

    items.sort(key=rank)
    for item in items:
        path = path_of(item)
        group = next((folder for folder in SHARING if path.startswith(folder)), path)
        item.add_marker(pytest.mark.xdist_group(group))


def path_of(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT).as_posix()


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
