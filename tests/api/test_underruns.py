"""Continuity as the listener has it: for how long a player that begins with the first sound stands still."""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from api.request_context import RequestContext
from api.streaming import with_underruns_noted
from audio.frames import SAMPLE_RATE
from tests.api.test_metrics import SPEECH, scraped
from tests.tiny_server import TinyServer


class Clock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("work", "reading", "underrun"),
    [
        ([0.5, 0.9, 0.9], 0.0, 0.0),  # always in time
        ([5.0, 1.5, 0.2], 0.0, 0.5),  # nobody waits for the first; the second comes half a second late
        ([0.0, 1.5, 1.25], 0.0, 0.75),
        ([0.0, 0.0, 0.0], 9.0, 0.0),  # a client that reads late had enough to play
        ([0.0, 1.5, 0.0], 9.0, 1.5),  # unless it must wait for the model then
    ],
)
def test_only_waiting_for_the_model_is_an_underrun(
    work: list[float], reading: float, underrun: float
) -> None:
    """Pieces of a second each, for each of which the model takes so long and the client so long to read."""
    clock, record = Clock(), RequestContext("one", "POST")

    def pieces() -> Iterator[np.ndarray]:
        for seconds in work:
            clock.now += seconds
            yield np.zeros(SAMPLE_RATE, np.float32)

    for _ in with_underruns_noted(pieces(), record, clock):
        clock.now += reading
    assert record.underrun == pytest.approx(underrun)


def test_streams_are_counted_by_it(tiny_server: TinyServer) -> None:
    before = scraped(tiny_server)
    for _ in range(2):
        httpx.post(f"{tiny_server.url}/v1/audio/speech", json=SPEECH | {"input": "Hello."}, timeout=60)
    httpx.post(
        f"{tiny_server.url}/v1/audio/speech", json=SPEECH | {"input": "Hi.", "stream": False}, timeout=60
    )
    grown = {name: value - before.get(name, 0) for name, value in scraped(tiny_server).items()}
    counted = [grown.get(f"higgs_streams_total,{underrun}", 0) for underrun in ("yes", "no")]
    assert sum(counted) in (1, 2)  # the last byte may arrive before it is noted that it was sent
    assert grown["higgs_underrun_seconds_total"] >= 0
