"""When a full engine has a place again."""

import pytest

from errors import Overloaded
from higgs.pace import Pace
from higgs.scheduler import Scheduler


def test_the_slots_of_requests_that_took_long_become_free_late() -> None:
    pace = Pace(slots=4)
    assert pace.seconds_to_a_place == 1  # nothing is known
    pace.note(18.0)
    assert pace.seconds_to_a_place == 5
    for _ in range(30):
        pace.note(2.0)
    assert pace.seconds_to_a_place == 1
    for _ in range(30):
        pace.note(1e6)
    assert pace.seconds_to_a_place == 60


def test_a_full_queue_says_when_to_come_back() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=1, queue_limit=1)
    scheduler.add("first", retry_after=7)
    scheduler.add("second", retry_after=7)
    with pytest.raises(Overloaded, match="try again in 7 s") as full:
        scheduler.add("third", retry_after=7)
    assert full.value.retry_after == 7
