"""Which model is served, and whether it is ready: /v1/models and /health."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from api.schemas import ModelCard, ModelList
from api.state import Cloner, State
from errors import NotFound
from voice_cloning import VoiceCloner

ALIAS = "higgs-audio"

router = APIRouter()


@router.get("/health")
def health(state: State) -> JSONResponse:
    """200 once the model is loaded and warm; 503 before, or after its loading failed."""
    if state.failure is not None:
        return JSONResponse({"status": "failed", "message": state.failure.message}, 503)
    if state.cloner is None:
        return JSONResponse({"status": "loading"}, 503, {"retry-after": "2"})
    return JSONResponse({"status": "ready", **_details(state.cloner)})


@router.get("/v1/models")
def list_models(cloner: Cloner) -> ModelList:
    return ModelList(data=[_card(cloner)])


@router.get("/v1/models/{model:path}")
def retrieve_model(model: str, cloner: Cloner) -> ModelCard:
    check_model(model, cloner)
    return _card(cloner)


def check_model(name: str, cloner: VoiceCloner, aliases: Sequence[str] = ()) -> None:
    """Raise NotFound unless the name means the model: its id, the end of it, higgs-audio, or an alias."""
    known = (cloner.model_id, cloner.model_id.rpartition("/")[2], ALIAS, *aliases)
    if name not in known:
        message = f"The model {name!r} is not served here; ask for {cloner.model_id!r} or {ALIAS!r}."
        raise NotFound(message, code="model_not_found", param="model")


def _card(cloner: VoiceCloner) -> ModelCard:
    owner, _, _ = cloner.model_id.rpartition("/")
    return ModelCard(
        id=cloner.model_id, created=cloner.loaded_at, owned_by=owner or "local", license=cloner.licence
    )


def _details(cloner: VoiceCloner) -> dict[str, Any]:
    return {
        "model": cloner.model_id,
        "device": cloner.device,
        "dtype": cloner.dtype,
        "waiting": cloner.waiting,
    }
