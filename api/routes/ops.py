"""Which model is served, whether it is ready, and how it does: /v1/models, /health and /metrics."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from api.schemas.chat import ModelCard, ModelList
from api.state import Cloner, State
from errors import NotFound
from voice_cloning import VoiceCloner

ALIAS = "higgs-audio"
TEXT = {"schema": {"type": "string"}}

router = APIRouter()


class Health(BaseModel):
    """Once the status is ready: which model is served on what, and how many requests wait for it."""

    status: Literal["loading", "ready", "failed"]
    message: str | None = None
    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    waiting: int | None = None


@router.get("/health", response_model=Health, responses={503: {"model": Health}})
def health(state: State) -> JSONResponse:
    """200 once the model is loaded and warm; 503 before, or after its loading failed."""
    if state.failure is not None:
        return JSONResponse({"status": "failed", "message": state.failure.message}, 503)
    if state.cloner is None:
        return JSONResponse({"status": "loading"}, 503, {"retry-after": "2"})
    return JSONResponse({"status": "ready", **_details(state.cloner)})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": TEXT, "application/openmetrics-text": TEXT}}},
)
def metrics(state: State, accept: Annotated[str, Header(include_in_schema=False)] = "") -> Response:
    """Figures for Prometheus."""
    data, content_type = state.metrics.exposition(accept)
    return Response(data, headers={"content-type": content_type})


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
