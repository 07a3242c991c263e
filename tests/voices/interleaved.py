"""Two transactions at once, in an order that is the same each time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from sqlalchemy import event

from voices.store.voice_store import VoiceStore

PATIENCE = 60.0


def interleaved(
    store: VoiceStore, first: Callable[[], Any], second: Callable[[], Any]
) -> tuple["Future[Any]", "Future[Any]"]:
    """Run `first`, of this store, up to its commit; run `second`, of another store, until it ends or waits
    for the first; let both end."""
    reached, go_on = threading.Event(), threading.Event()

    def pause(connection: object) -> None:
        reached.set()
        go_on.wait(PATIENCE)

    event.listen(store._database._engine, "commit", pause)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert reached.wait(PATIENCE)
        two = pool.submit(second)
        wait([two], timeout=0.2)
        go_on.set()
    event.remove(store._database._engine, "commit", pause)
    return one, two
