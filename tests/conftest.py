"""Fixtures that several test files share."""

from collections.abc import Iterator

import hypothesis
import pytest

from tests.live import BUNDLED_MODEL, LiveServer, serve

# A busy machine is no failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """`python app.py` on the bundled model, in a process of its own."""
    if not BUNDLED_MODEL.is_dir():
        pytest.skip(f"no bundled model at {BUNDLED_MODEL}")
    with serve(BUNDLED_MODEL) as server:
        yield server
