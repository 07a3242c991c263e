"""How every WebSocket is served: admitted, accepted, and closed properly."""

from collections.abc import Callable
from typing import Protocol

from fastapi.websockets import WebSocket

from api.sockets import Channel
from api.state import ServerState
from errors import UnreadableMessage


class Session(Protocol):
    """The conversation of a client and the server over one WebSocket."""

    async def run(self) -> None:
        """Serve the client until it leaves, or the server stops."""

    async def send_error(self, error: Exception) -> None:
        """Send the client an error."""


async def serve(socket: WebSocket, state: ServerState, begin: Callable[[Channel], Session]) -> None:
    """Accept a WebSocket and serve it; its turns end with it. Raises Overloaded if too many are open."""
    with state.sockets.admitted():
        channel = Channel(socket, state.drain, state.sockets.idle_seconds)
        await channel.accept()
        session = begin(channel)
        try:
            await session.run()
        except UnreadableMessage as error:
            await session.send_error(error)
            await channel.close(error.close_code, error.default_code or "")
        finally:
            await channel.end_turns()
