"""When a full engine has a place again, and what it tells of the requests that it came to the end of."""

import pytest
import torch

from errors import Overloaded
from higgs.engine.request import Generation
from higgs.engine.scheduler import Scheduler
from higgs.engine.wait_estimator import WaitEstimator
from tests.higgs.test_engine import GREEDY, ScriptedPath, clone_prompt, frames_of


def test_the_slots_of_requests_that_took_long_become_free_late() -> None:
    pace = WaitEstimator(slots=4)
    assert pace.seconds_to_a_slot == 1  # nothing is known
    pace.note(18.0)
    assert pace.seconds_to_a_slot == 5
    for _ in range(30):
        pace.note(2.0)
    assert pace.seconds_to_a_slot == 1
    for _ in range(30):
        pace.note(1e6)
    assert pace.seconds_to_a_slot == 60


def test_a_full_queue_says_when_to_come_back() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=1, queue_limit=1)
    scheduler.add("first", retry_after=7)
    scheduler.add("second", retry_after=7)
    with pytest.raises(Overloaded, match="try again in 7 s") as full:
        scheduler.add("third", retry_after=7)
    assert full.value.retry_after == 7


def test_an_engine_tells_what_each_request_took() -> None:
    path = ScriptedPath(torch.zeros(1, 8, dtype=torch.int64))
    engine, told = path.engine(slots=1), list[tuple[int, float, float]]()

    def note(generation: Generation) -> None:
        told.append((generation.frames, generation.waited, generation.worked))

    try:
        frames_of(engine.submit(clone_prompt(), GREEDY, 20))
        engine.count_from_now(note)
        frames_of(engine.submit(clone_prompt(), GREEDY, 30))
    finally:
        engine.close()
    [(frames, waited, worked)] = told
    assert frames == 22 and waited >= 0 and worked > 0
