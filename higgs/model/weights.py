"""Finding the folder of a model or codec, and reading its JSON and its tensors.

Everything that can't be had is a StartError that names the remedy.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open

from errors import HubError, StartError

HUB_FILES = ["*.json", "*.jinja", "*.safetensors", "*.bin", "*.pth", "README.md", "LICENSE*"]
DEFAULT_REVISION = "main"
SUFFIXES = ("safetensors", "bin", "pth")


def find(name: str) -> Path:
    """The folder of a model or codec (HF_HUB_OFFLINE is honoured).

    Args:
        name: A folder, or a hub id, owner/name, with a revision where one is wanted: owner/name@revision.

    Raises:
        StartError: It is no folder, and not a hub id.
        HubError: The hub doesn't give it.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    repository, revision = _of_hub(name)
    with _from_hub(name):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=HUB_FILES))


def find_file(name: str, file: str) -> Path:
    """One file of a model or codec, without the others; `name` and errors as of find."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder / file
    repository, revision = _of_hub(name)
    with _from_hub(name):
        return Path(hf_hub_download(repository, file, revision=revision))


def _of_hub(name: str) -> tuple[str, str]:
    """The repository and the revision of a hub id."""
    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        raise StartError(f"There is no folder {name}. Give a folder, or a hub id such as owner/name.")
    return repository, revision or DEFAULT_REVISION


@contextmanager
def _from_hub(name: str) -> Iterator[None]:
    """HubError where the hub doesn't give something."""
    try:
        yield
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise HubError(
            f"{name} is no folder here and could not be had from the Hugging Face hub ({error}). Check the "
            "name and the network, set HF_TOKEN if it is gated, or download it and give its folder."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model; StartError if it is missing or broken."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"{path} can't be read ({error}). Download the model again.") from error


def weight_files(folder: Path, suffix: str) -> list[Path]:
    """The files of one format that hold a folder's weights: those of its index, or all; perhaps none."""
    indexes = sorted(folder.glob(f"*.{suffix}.index.json"))
    shards = {folder / shard for index in indexes for shard in read_json(index)["weight_map"].values()}
    return sorted(shards or folder.glob(f"*.{suffix}"))


def read_weights(
    folder: Path, prefix: str = "", suffixes: Sequence[str] = SUFFIXES
) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of a folder, by name: from its safetensors, else .bin, else .pth, one file or more.

    Args:
        prefix: Only the tensors whose names begin with it, under the rest of their names.
        suffixes: The formats to look for, in this order.
    """
    paths = next(filter(None, (weight_files(folder, suffix) for suffix in suffixes)), None)
    if paths is None:
        raise StartError(f"There are no weights in {folder} (*.safetensors, *.bin or *.pth).")
    for path in paths:
        yield from read_tensors(path, prefix).items()


def names_in(path: Path) -> list[str]:
    """The names of the tensors of one file; the tensors themselves are not read."""
    if path.suffix == ".safetensors":
        with _readable(path), safe_open(path, framework="pt") as file:
            return list(file.keys())
    with _readable(path):
        return list(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def read_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """Every tensor of one file, by name; `prefix` as of read_weights."""
    with _readable(path):
        if path.suffix != ".safetensors":
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            return {name[len(prefix) :]: tensors[name] for name in tensors if name.startswith(prefix)}
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 (it is no dict)
            return {name[len(prefix) :]: file.get_tensor(name) for name in names}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """StartError where a file of weights is missing or broken."""
    try:
        yield
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
