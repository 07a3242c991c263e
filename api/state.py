"""What the app holds for its routes: the model's cloner, once it is loaded, and the limits of a request."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.kept_audio import KeptAudio
from errors import Loading, StartError
from voice_cloning import VoiceCloner


@dataclass(frozen=True)
class Limits:
    """How much one request may bring."""

    upload_bytes: int
    text_characters: int


@dataclass
class ServerState:
    """Stands at `app.state.server`; the loading thread sets `cloner` or `failure` once."""

    limits: Limits
    cloner: VoiceCloner | None = None
    failure: StartError | None = None
    kept_audio: KeptAudio = field(default_factory=KeptAudio)


def server_state(request: Request) -> ServerState:
    return request.app.state.server


def _loaded_cloner(state: Annotated[ServerState, Depends(server_state)]) -> VoiceCloner:
    if state.cloner is None:
        raise Loading("The model is still being loaded; ask again in a moment.")
    return state.cloner


State = Annotated[ServerState, Depends(server_state)]
Cloner = Annotated[VoiceCloner, Depends(_loaded_cloner)]
