"""The process around the app: it listens, and on SIGTERM or SIGINT it ends without breaking an answer off.

First, new requests are refused while those under way are finished, for as long as the settings allow; then
what is left is told that the server ends, and the process exits with status 0. A second signal ends it at
once.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import anyio.to_thread
import uvicorn

from api.drain import Drain
from api.sockets import MAX_MESSAGE_BYTES

log = logging.getLogger("app")

# What is still under way at the end of the drain is told so, and gets as long to say it to its client.
LAST_WORDS_SECONDS = 2.0
# Threads that nobody can stop, of a decoder or a driver, don't keep the process longer than this.
EXIT_SECONDS = 5.0


# Of uvicorn for WebSockets: one whose client is gone is noticed within 40 s, and sound is not compressed,
# since that takes time and gains nothing.
SOCKET_OPTIONS: dict[str, Any] = {
    "ws": "websockets-sansio",
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": False,
}


def leave() -> NoReturn:
    """End the process with status 0 when all is closed.

    Python itself would first free what the model and its libraries hold, object by object, for seconds.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


class DrainingServer(uvicorn.Server):
    """uvicorn's server, drained before it ends.

    seconds:  for the requests under way, from the first signal on.
    break_off: makes all that wait for the model fail; called in a thread when these seconds are over.
    """

    def __init__(
        self, config: uvicorn.Config, drain: Drain, seconds: float, break_off: Callable[[], None]
    ) -> None:
        config.timeout_graceful_shutdown = 1  # what hasn't ended by then is a client that doesn't read
        super().__init__(config)
        self._drain, self._seconds, self._break_off = drain, seconds, break_off
        self._asked = self._broken_off = False
        self._deadline = 0.0  # of the drain and, behind it, of last words

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for each signal. uvicorn would raise it again in the end, and that be the exit status."""
        if self._asked:
            log.warning("asked to stop a second time: the process ends at once")
            os._exit(128 + sig)
        self._asked = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; True ends uvicorn's main loop."""
        if self._asked and await self._drained():
            self.should_exit = True
        return await super().on_tick(counter)

    async def _drained(self) -> bool:
        """Begin to drain, or look how far it came; True once nothing is left to wait for."""
        if not self._drain.begun:
            log.info("asked to stop: %d requests are finished first", self._drain.active)
            self._drain.begin()
            self._deadline = time.monotonic() + self._seconds
            last = threading.Timer(self._seconds + LAST_WORDS_SECONDS + EXIT_SECONDS, os._exit, [0])
            last.daemon = True
            last.start()
        if not self._drain.active:
            return True
        if time.monotonic() < self._deadline:
            return False
        if not self._broken_off:
            self._broken_off = self._drain.over = True
            log.warning("%d requests were not finished in %g s", self._drain.active, self._seconds)
            await anyio.to_thread.run_sync(self._break_off, abandon_on_cancel=True)
            self._deadline = time.monotonic() + LAST_WORDS_SECONDS
            return False
        return True
