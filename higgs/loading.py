"""Load the configured model: find it, check that it fits the device's memory, then download it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from errors import DoesNotFit, HubError
from higgs.codecs.base import Codec, is_vocoder, load_codec
from higgs.devices import free_memory
from higgs.engine.cuda_graphs import Graphs, Part
from higgs.engine.memory import MemoryPlan, gigabytes, plan_memory
from higgs.model.checkpoint import Checkpoint, load_checkpoint, peek_config
from higgs.model.quantised import KINDS, check_weights

log = logging.getLogger(__name__)

# Graphs of the codec beside the model's lost an H200's memory; what should mend it has not run on a GPU.
GRAPHS: dict[str, tuple[Part, ...]] = {"all": ("model", "codec"), "model": ("model",), "none": ()}
PUBLISHED_MODEL = "bosonai/higgs-audio-v2-generation-3B-base"


@dataclass(frozen=True)
class ModelRequest:
    """The model to load.

    Attributes:
        name: a folder or hub id; for load_chosen also auto or bundled.
        codec: likewise; None for the model's own, else the published one.
        device: where the model runs.
        dtype: of the weights; None for bfloat16 on CUDA and float32 elsewhere.
        slots, positions, exact_positions: see plan_memory.
        weights: of the layers' matrices: bf16 (see dtype), or one of higgs.model.quantised.KINDS.
        cuda_graphs: of what a GPU captures graphs; see GRAPHS.
    """

    name: str
    codec: str | None
    device: torch.device
    dtype: torch.dtype | None
    slots: int | None
    positions: int
    exact_positions: bool
    weights: str = "bf16"
    cuda_graphs: Literal["all", "model", "none"] = "model"


@dataclass(frozen=True)
class LoadedModel:
    """model_id: as clients name it. again: what loads the same model with the same plan."""

    model_id: str
    checkpoint: Checkpoint
    codec: Codec
    plan: MemoryPlan
    again: ModelRequest


def load(request: ModelRequest) -> LoadedModel:
    """Load a model and its codec.

    Raises:
        StartError: the model, the codec or this kind of weights can't be used.
        HubError: one of them can't be downloaded.
        DoesNotFit: the device is too small; only config.json was downloaded.
    """
    device, dtype = request.device, request.dtype or default_dtype(request.device)
    check_weights(request.weights, device)
    Graphs.parts = GRAPHS[request.cuda_graphs]
    folder = Path(request.name).expanduser()
    plan = plan_memory(
        peek_config(request.name),
        dtype,
        free_memory(device),
        slots=request.slots,
        positions=request.positions,
        exact_positions=request.exact_positions,
        codec=not (request.codec is None and is_vocoder(folder / "codec")),
        kind=KINDS.get(request.weights),
    )
    try:
        checkpoint = load_checkpoint(
            request.name, codec=request.codec, device=device, dtype=dtype, weights=request.weights
        )
        codec = load_codec(str(checkpoint.codec), device)
    except torch.OutOfMemoryError as error:
        free = gigabytes(free_memory(device) or 0)
        raise DoesNotFit(
            f"Memory ran out while the model was loaded ({free} are left; planned were {plan}). "
            "Free memory, or set HIGGS_MODEL=bundled."
        ) from error
    if plan.parts:
        log.info("memory: %s", plan)
    model_id = folder.resolve().name if folder.is_dir() else request.name
    if checkpoint.licence:
        log.info("licence of %s: %s", model_id, checkpoint.licence.name)
    again = replace(request, slots=plan.slots, positions=plan.positions, exact_positions=True)
    return LoadedModel(model_id, checkpoint, codec, plan, again)


def default_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def load_chosen(request: ModelRequest, bundled: Path) -> tuple[LoadedModel, str | None]:
    """Load the model of the setting: auto, bundled, a folder or a hub id.

    Args:
        request: the model to load.
        bundled: folder of the bundled model.

    Returns:
        The model and, for auto, why it is the bundled one, if it is.
    """

    def load_named(name: str) -> LoadedModel:
        return load(replace(request, name=str(bundled) if name == "bundled" else name))

    if request.name == "auto":
        return load_auto(request.device, load_named)
    return load_named(request.name), None


def load_auto(device: torch.device, load: Callable[[str], LoadedModel]) -> tuple[LoadedModel, str | None]:
    """Load the published model on CUDA, else the bundled one; return it with the reason for the latter.

    Args:
        device: where the model runs.
        load: loads a model by name, including "bundled".
    """
    if device.type == "cpu":
        return load("bundled"), f"{PUBLISHED_MODEL} needs a CUDA device, and none is used here."
    try:
        return load(PUBLISHED_MODEL), None
    except (HubError, DoesNotFit) as error:
        log.warning("HIGGS_MODEL=auto serves the BUNDLED model instead of %s: %s", PUBLISHED_MODEL, error)
        return load("bundled"), error.message
