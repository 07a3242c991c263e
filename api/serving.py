"""The process around the app: it listens, serves, and shuts down gracefully on SIGTERM or SIGINT.

First, new requests are refused while running ones finish, within the configured time. Then remaining clients
learn that the server is stopping, and the process exits with status 0. A second signal ends it at once.
"""

import errno
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from types import FrameType
from typing import Any, NoReturn

import anyio.to_thread
import uvicorn

from api.drain import Drain
from api.sockets import MAX_MESSAGE_BYTES
from errors import StartError

log = logging.getLogger("app")

# After the drain, the remaining requests have this long to send their client an error.
LAST_WORDS_SECONDS = 2.0
# Maximum delay of the exit by threads that can't be stopped, e.g. of a decoder or driver.
EXIT_SECONDS = 5.0
# How long the system tries to deliver an answer that the client doesn't read, after the server has closed.
UNREAD_MILLISECONDS = 120_000

# uvicorn's WebSocket options: detect a lost client within 40 s; don't compress, since audio doesn't shrink.
SOCKET_OPTIONS: dict[str, Any] = {
    "ws": "websockets-sansio",
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
    "ws_per_message_deflate": False,
}


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket bound to this address. Raises StartError, which names the remedy."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm, which delays answers by 40 ms, only if the protocol is named.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux only; connections inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            remedy = f"Another program uses port {port}; stop it, or choose another port (--port {port + 1})."
        elif error.errno == errno.EACCES:
            remedy = f"Port {port} needs an administrator's rights; choose one above 1023 (--port 8000)."
        else:
            remedy = (
                f"{error.strerror or error}; --host takes an address of this machine, or 0.0.0.0 for all."
            )
        raise StartError(f"Can't listen on {host}:{port}. {remedy}") from error
    return listening


def address_of(listening: socket.socket, host: str) -> str:
    """Return the URL of the server for a browser on this machine."""
    shown = "localhost" if host in ("0.0.0.0", "::", "127.0.0.1", "::1") else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}/"


def proxy_options(trusted_proxies: str | None) -> dict[str, Any]:
    """uvicorn's options: trust x-forwarded-for from these addresses only, or from none without any."""
    trusted = trusted_proxies or ""
    allowed = ",".join([trusted, *_as_ipv6(trusted.split(","))])
    return {"proxy_headers": trusted_proxies is not None, "forwarded_allow_ips": allowed}


def _as_ipv6(hosts: Sequence[str]) -> Iterator[str]:
    """Yield IPv4 addresses and networks as a server that listens on :: sees them: ::ffff:192.0.2.1."""
    for host in hosts:
        with suppress(ValueError):
            network = IPv4Network(host.strip())
            yield f"::ffff:{network.network_address}/{96 + network.prefixlen}"


def leave() -> NoReturn:
    """Exit with status 0 after everything is closed.

    A normal exit would first free the model and its libraries object by object, for seconds.
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
        config.timeout_graceful_shutdown = 1  # after the drain, only clients that don't read remain
        super().__init__(config)
        self._drain, self._seconds, self._break_off = drain, seconds, break_off
        self._asked = self._broken_off = False
        self._deadline = 0.0  # of the drain, then of the last messages

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal. uvicorn would raise it again at the end, which would set the exit status."""
        if self._asked:
            log.warning("second stop signal: exiting at once")
            os._exit(128 + sig)
        self._asked = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; True ends uvicorn's main loop."""
        if self._asked and await self._drained():
            self.should_exit = True
        return await super().on_tick(counter)

    async def _drained(self) -> bool:
        """Start the drain, or check its progress; return True once nothing is left to wait for."""
        if not self._drain.begun:
            log.info("stopping: waiting for %d requests", self._drain.active)
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
            log.warning("%d requests did not finish in %g s", self._drain.active, self._seconds)
            await anyio.to_thread.run_sync(self._break_off, abandon_on_cancel=True)
            self._deadline = time.monotonic() + LAST_WORDS_SECONDS
            return False
        return True
