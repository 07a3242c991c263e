"""WS /v1/realtime, and the keys with which browsers open it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, WebSocket
from pydantic import BaseModel

from api.live.conversation import new_id
from api.live.realtime import RealtimeSession
from api.live.serving import serve
from api.live.session_config import check_voice, session_of, wire_of
from api.middleware.auth import Owner
from api.request_context import note_generated
from api.schemas.realtime import ClientSecretRequest
from api.state import Cloner, State
from errors import InvalidRequest

router = APIRouter()


class ClientSecretMade(BaseModel):
    """A browser's key, valid until expires_at (Unix seconds), and the session that it opens."""

    value: str
    expires_at: int
    session: dict[str, Any]


@router.post("/v1/realtime/client_secrets")
def create_client_secret(
    body: ClientSecretRequest, cloner: Cloner, state: State, owner: Owner
) -> ClientSecretMade:
    """Create a key that opens Realtime sessions for a while and nothing else: one for a browser.

    Without a Redis that servers share, only this process knows it, until it ends.
    """
    config = session_of(body.session or {}, cloner, state)
    check_voice(config, cloner, state, owner)
    value, secret = state.client_secrets.make(owner, config.model_dump(), body.expires_after.seconds)
    session = wire_of(config, new_id("sess"), cloner.model_id)
    return ClientSecretMade(value=value, expires_at=secret.expires_at, session=session)


@router.websocket("/v1/realtime")
async def open_session(
    socket: WebSocket,
    cloner: Cloner,
    state: State,
    owner: Owner,
    model: Annotated[str | None, Query()] = None,
    intent: Annotated[str | None, Query()] = None,
    call_id: Annotated[str | None, Query()] = None,
) -> None:
    """OpenAI's Realtime API; see api.live.realtime."""
    if call_id is not None:
        raise InvalidRequest("There are no calls here; name a model.", code="unsupported", param="call_id")
    secret = getattr(socket.state, "client_secret", None)
    fields: dict[str, Any] = dict(secret.session) if secret else {}
    if intent == "transcription":
        fields["type"] = "transcription"
    if model is not None:
        fields["model"] = model
    config = session_of(fields, cloner, state)
    if config.type == "realtime":
        note_generated(cloner.model_id)
    await serve(socket, state, lambda channel: RealtimeSession(socket, channel, cloner, state, owner, config))
