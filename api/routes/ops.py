"""Models, health and metrics: /v1/models, /health, /livez, /readyz and /metrics."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from api.model_names import check_model
from api.openapi import errors
from api.schemas.chat import ModelCard, ModelList
from api.state import Cloner, Limits, State
from api.streaming import while_connected
from errors import Conflict
from voice_cloning import VoiceCloner

TEXT = {"schema": {"type": "string"}}

router = APIRouter()


class Health(BaseModel):
    """Once the status is ready: which model is served on what, how many requests wait for it, how many
    characters the text of a request may have, how many WebSockets are open, and whether a recording is cloned
    only with its speaker's consent.

    unloaded: the model was idle; the next request loads it again, and waits meanwhile.

    `fallback` says why the bundled model is served instead of the published one, `license_notice` what the
    weights' licence wants shown; both stand there only where there is something to say.
    """

    status: Literal["loading", "ready", "unloaded", "failed"]
    message: str | None = None
    model: str | None = None
    device: str | None = None
    dtype: str | None = None
    waiting: int | None = None
    max_text_characters: int | None = None
    sockets: int | None = None
    consent_required: bool | None = None
    fallback: str | None = None
    license_notice: str | None = None


@router.get("/health", response_model=Health, responses={503: {"model": Health}})
async def health(state: State) -> JSONResponse:
    """200 once the model is loaded and warm; 503 before, after loading failed, and once it has given up."""
    if state.dead is not None:
        return JSONResponse({"status": "failed", "message": state.dead}, 503)
    if state.cloner is None or state.model_status == "loading":
        return JSONResponse({"status": "loading"}, 503, {"retry-after": "2"})
    details = _details(state.cloner, state.limits)
    consent = state.require_consent or state.request_defaults.verify_consents
    of_server = {"sockets": state.sockets.open, "consent_required": consent}
    return JSONResponse({"status": state.model_status, **details, **of_server})


class Probe(BaseModel):
    """status: alive, ready, loading, draining (the server is stopping) or failed."""

    status: Literal["alive", "ready", "unloaded", "loading", "draining", "failed"]
    message: str | None = None


@router.get("/livez", response_model=Probe, responses={503: {"model": Probe}})
async def live(state: State) -> JSONResponse:
    """200 while the process works, also while loading; 503 if only a restart helps."""
    if state.dead is not None:
        return JSONResponse({"status": "failed", "message": state.dead}, 503)
    return JSONResponse({"status": "alive"})


@router.get("/readyz", response_model=Probe, responses={503: {"model": Probe}})
async def ready(state: State) -> JSONResponse:
    """200 if requests should be sent here; 503 while loading, stopping, or failed."""
    if state.dead is not None:
        return JSONResponse({"status": "failed", "message": state.dead}, 503)
    status = "draining" if state.drain.begun else state.model_status
    if status in ("draining", "loading"):
        return JSONResponse({"status": status}, 503, {"retry-after": "2"})
    return JSONResponse({"status": status})


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": TEXT, "application/openmetrics-text": TEXT}}},
)
async def metrics(state: State, accept: Annotated[str, Header(include_in_schema=False)] = "") -> Response:
    """Return metrics for Prometheus."""
    data, content_type = state.metrics.exposition(accept)
    return Response(data, headers={"content-type": content_type})


@router.get("/v1/models/", include_in_schema=False)
@router.get("/v1/models")
async def list_models(cloner: Cloner) -> ModelList:
    """List the served model."""
    return ModelList(data=[_card(cloner)])


@router.get("/v1/models/{model:path}")
async def retrieve_model(model: str, cloner: Cloner, state: State) -> ModelCard:
    """Return the model that this name stands for on any route."""
    check_model(model, state.model_names)
    return _card(cloner)


class Unloaded(BaseModel):
    """The model is not in memory any more; the next request that needs it loads it again."""

    model: str
    status: Literal["unloaded"] = "unloaded"


@router.post("/api/models/unload", responses=errors(409))
async def unload_model(request: Request, cloner: Cloner) -> Unloaded:
    """Give the model's memory back now, whatever HIGGS_KEEP_ALIVE says. 409 while it works."""
    if not await while_connected(request, None, cloner.resident.unload):
        raise Conflict("The model is at work; ask again when it is idle.", code="model_in_use")
    return Unloaded(model=cloner.model_id)


def _card(cloner: VoiceCloner) -> ModelCard:
    owner, _, _ = cloner.model_id.rpartition("/")
    return ModelCard(
        id=cloner.model_id,
        created=cloner.loaded_at,
        owned_by=owner or "local",
        license=cloner.licence.name if cloner.licence else None,
        license_notice=cloner.licence.notice if cloner.licence else None,
        fallback=cloner.fallback,
    )


def _details(cloner: VoiceCloner, limits: Limits) -> dict[str, Any]:
    details = {
        "model": cloner.model_id,
        "device": cloner.device,
        "dtype": cloner.dtype,
        "waiting": cloner.resident.waiting,
        "max_text_characters": limits.text_characters,
        "fallback": cloner.fallback,
        "license_notice": cloner.licence.notice if cloner.licence else None,
    }
    return {name: value for name, value in details.items() if value is not None}
