"""Finding the folder of a model or codec, and reading its JSON and its tensors.

Everything that can't be had is a StartError that names the remedy.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open

from errors import StartError

HUB_FILES = ["*.json", "*.jinja", "*.safetensors", "*.bin", "*.pth", "README.md"]


def find(name: str) -> Path:
    """The folder of a model or codec: `name` itself, or a hub id's snapshot (HF_HUB_OFFLINE is honoured)."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise StartError(f"There is no folder {name}. Give a folder, or a hub id such as owner/name.")
    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise StartError(
            f"{name} is no folder here and could not be had from the Hugging Face hub ({error}). Check the "
            "name and the network, set HF_TOKEN if it is gated, or download it and give its folder."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model; StartError if it is missing or broken."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"{path} can't be read ({error}). Download the model again.") from error


def read_weights(folder: Path, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a folder, by name: from its safetensors, else .bin, else .pth, one file or more.

    prefix: only the tensors whose names begin with it, under the rest of their names.
    """
    for suffix in ("safetensors", "bin", "pth"):
        indexes = sorted(folder.glob(f"*.{suffix}.index.json"))
        shards = {folder / shard for index in indexes for shard in read_json(index)["weight_map"].values()}
        paths = sorted(shards or folder.glob(f"*.{suffix}"))
        if paths:
            break
    else:
        raise StartError(f"There are no weights in {folder} (*.safetensors, *.bin or *.pth).")
    for path in paths:
        yield from read_tensors(path, prefix).items()


def read_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """Every tensor of one file, by name; `prefix` as of read_weights."""
    try:
        if path.suffix != ".safetensors":
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            return {name[len(prefix) :]: tensors[name] for name in tensors if name.startswith(prefix)}
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 (it is no dict)
            return {name[len(prefix) :]: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, UnpicklingError, RuntimeError) as error:
        raise StartError(f"{path} can't be read ({error}). Download the model again.") from error


def compare(folder: Path, wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    """StartError that names the tensors which are missing, unexpected or of another shape."""
    both = wanted.keys() & found.keys()
    kinds = {
        "missing": wanted.keys() - found.keys(),
        "unexpected": found.keys() - wanted.keys(),
        "of another shape": {name for name in both if wanted[name].shape != found[name].shape},
    }
    faults = [f"{kind}: {_few(sorted(names))}" for kind, names in kinds.items() if names]
    if faults:
        raise StartError(
            f"The weights in {folder} are not those of its config.json ({'; '.join(faults)}). "
            "Download the model again, or choose another one (HIGGS_MODEL, HIGGS_CODEC)."
        )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
