"""Whether the server is ending, and how long its clients may hold something up."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

STALLED_WHILE_DRAINING = 5.0  # seconds


class Drain:
    """Whether the server is ending, and how many requests it still answers. For the event loop's thread."""

    def __init__(self) -> None:
        self.active = 0
        self._begun = asyncio.Event()

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def begin(self) -> None:
        self._begun.set()

    async def begins_within(self, seconds: float) -> bool:
        """Wait so long at most; whether the server is ending now."""
        try:
            await asyncio.wait_for(self._begun.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def bounded(self, work: Awaitable[T], seconds: float) -> T:
        """Wait for work of a client's; TimeoutError after so long, or 5 s after the server began to end."""
        working = asyncio.ensure_future(work)
        ending = asyncio.ensure_future(self._begun.wait())
        try:
            await asyncio.wait({working, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self.begun and not working.done():
                await asyncio.wait({working}, timeout=min(seconds, STALLED_WHILE_DRAINING))
            if not working.done():
                raise TimeoutError
            return await working
        finally:
            ending.cancel()
            working.cancel()
