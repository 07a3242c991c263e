"""WS /v1/audio/speech/stream: text in, bit by bit; its speech out while the text is being written."""

from fastapi import APIRouter, WebSocket

from api.live.serving import serve
from api.live.text_in import TextIn
from api.middleware.auth import Owner
from api.request_context import note_generated
from api.state import Cloner, State

router = APIRouter()


@router.websocket("/v1/audio/speech/stream")
async def stream_speech(socket: WebSocket, cloner: Cloner, state: State, owner: Owner) -> None:
    """Speak a text while it is being written; see api.live.text_in."""
    note_generated(cloner.model_id)
    await serve(socket, state, lambda channel: TextIn(socket, channel, cloner, state, owner))
