"""Scheduling, on plain strings: every request is in one place, and rows stay dense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import Overloaded
from higgs.engine.scheduler import Scheduler


def fits(request: object) -> bool:
    return True


def running(names: str) -> Scheduler[str]:
    scheduler: Scheduler[str] = Scheduler(slots=len(names), queue_limit=2)
    for name in names:
        scheduler.add(name)
        scheduler.admit(fits)
        scheduler.activate(name)
    return scheduler


def test_requests_are_read_in_their_order() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=2, queue_limit=9)
    for name in "abc":
        scheduler.add(name)
    assert [scheduler.admit(fits) for _ in range(3)] == ["a", "b", None], "both slots are taken"
    assert scheduler.prefilling == ["a", "b"]
    assert [scheduler.activate("b"), scheduler.activate("a")] == [0, 1], "the first one may have more to read"
    assert scheduler.admit(fits) is None
    scheduler.leave(0)
    assert scheduler.admit(fits) == "c"


def test_nobody_overtakes_one_that_does_not_fit() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=4, queue_limit=9)
    for name in ("small", "large", "tiny"):
        scheduler.add(name)
    assert scheduler.admit(lambda name: name != "large") == "small"
    assert scheduler.admit(lambda name: name != "large") is None
    assert [scheduler.admit(fits), scheduler.admit(fits)] == ["large", "tiny"]


def test_one_that_stops_being_read_makes_room() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=1, queue_limit=9)
    scheduler.add("x", background=True)
    assert scheduler.admit(fits) == "x" and not scheduler.idle
    scheduler.stop_prefilling("x")
    assert scheduler.idle
    scheduler.add("y", background=True)
    assert scheduler.admit(fits) == "y"


def test_the_queue_holds_no_more_than_its_limit_beside_the_slots() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=1, queue_limit=2)
    for name in "abc":
        scheduler.add(name)
    with pytest.raises(Overloaded):
        scheduler.add("d")
    assert scheduler.admit(fits) == "a"
    with pytest.raises(Overloaded):
        scheduler.add("d")
    scheduler.activate("a")
    with pytest.raises(Overloaded):
        scheduler.add("d")
    scheduler.leave(0)
    scheduler.add("d")


@pytest.mark.parametrize(("row", "source", "left"), [(0, 2, "cb"), (1, 2, "ac"), (2, None, "ab")])
def test_the_last_row_takes_the_place_of_one_that_leaves(row: int, source: int | None, left: str) -> None:
    scheduler = running("abc")
    assert scheduler.leave(row) == source
    assert scheduler.rows == list(left)


def test_only_what_waits_can_be_removed() -> None:
    scheduler = running("a")
    scheduler.add("b")
    assert scheduler.remove("b") and not scheduler.remove("b") and not scheduler.remove("a")


def test_it_is_idle_when_nobody_is_here() -> None:
    scheduler = running("ab")
    scheduler.leave(0)
    scheduler.add("c")
    scheduler.admit(fits)
    scheduler.add("d")
    assert not scheduler.idle
    assert scheduler.drain() == ["b", "c", "d"]
    assert scheduler.idle


def test_the_background_speaks_while_nobody_else_waits_and_leaves_a_slot_free() -> None:
    scheduler = running("ab")
    scheduler.slots = 4
    for name in "xy":
        scheduler.add(name, background=True)
    scheduler.add("c")
    assert scheduler.admit(fits) == "c", "whoever came last goes before the background"
    scheduler.activate("c")
    assert scheduler.admit(fits) is None, "one slot stays free"
    scheduler.leave(0)
    assert scheduler.admit(fits) == "x"
    scheduler.activate("x")
    scheduler.leave(0)
    assert scheduler.admit(fits) is None, "one of them at a time"
    scheduler.leave(scheduler.rows.index("x"))
    assert scheduler.admit(fits) == "y"


def test_the_background_speaks_where_there_is_one_slot() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=1, queue_limit=2)
    scheduler.add("x", background=True)
    assert scheduler.admit(fits) == "x"


def test_the_background_takes_no_place_in_the_queue() -> None:
    scheduler: Scheduler[str] = Scheduler(slots=1, queue_limit=2)
    for name in "xyz":
        scheduler.add(name, background=True)
    scheduler.admit(fits)
    for name in "abc":
        scheduler.add(name)
    with pytest.raises(Overloaded):
        scheduler.add("d")
    assert scheduler.remove("y") and not scheduler.remove("y")
    assert sorted(scheduler.drain()) == [*"abc", *"xz"]
    assert scheduler.idle


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "later", "remove", "admit", "seat", "leave", "stop"]), st.integers(0)
        )
    )
)
def test_no_request_is_lost_or_doubled(events: list[tuple[str, int]]) -> None:
    scheduler: Scheduler[int] = Scheduler(slots=3, queue_limit=4)
    inside: set[int] = set()
    behind: set[int] = set()
    for number, (event, choice) in enumerate(events):
        if event == "add":
            try:
                scheduler.add(number)
                inside.add(number)
            except Overloaded:
                assert len(inside - behind) == 7
        elif event == "later":
            scheduler.add(number, background=True)
            inside.add(number)
            behind.add(number)
        elif event == "remove" and scheduler.waiting:
            gone = scheduler.waiting[choice % len(scheduler.waiting)]
            assert scheduler.remove(gone)
            inside.remove(gone)
        elif event == "admit":
            scheduler.admit(fits)
        elif event == "seat" and scheduler.prefilling:
            seated = scheduler.prefilling[choice % len(scheduler.prefilling)]
            assert scheduler.rows[scheduler.activate(seated)] == seated
        elif event == "leave" and scheduler.rows:
            row = choice % len(scheduler.rows)
            inside.remove(scheduler.rows[row])
            scheduler.leave(row)
        elif event == "stop" and scheduler.prefilling:
            stopped = scheduler.prefilling[choice % len(scheduler.prefilling)]
            scheduler.stop_prefilling(stopped)
            inside.remove(stopped)
        here = [*scheduler.rows, *scheduler.prefilling, *scheduler.waiting, *scheduler.background]
        assert sorted(here) == sorted(inside) and len(scheduler.rows) + len(scheduler.prefilling) <= 3
        assert scheduler.idle == (not inside)
