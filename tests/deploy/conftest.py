from collections.abc import Iterator

import pytest

from tests.deploy.fleet import Fleet, fleet
from tests.tiny_server import write_endless_model
from tests.voices.servers import program


@pytest.fixture(scope="session")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two replicas of a tiny model that speaks for as long as it may."""
    pytest.importorskip("ray", reason="`make test-cluster` installs it")
    for binary in ("postgres", "redis-server"):
        if program(binary) is None:
            pytest.skip(f"{binary} is not installed; .ci/run installs it")
    folder = tmp_path_factory.mktemp("fleet")
    model = write_endless_model(folder / "tiny")
    endless = {"max_frames_per_byte": "1e6", "max_speech_seconds": "1e6"}
    with fleet(folder, model, rate_limit="100000/hour", drain_seconds="20", **endless) as running:
        yield running
