"""Find the folder of a model or codec, and read its JSON and tensors.

Everything unavailable raises StartError, which names the remedy.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open
from torch.overrides import TorchFunctionMode

from errors import HubError, StartError

HUB_FILES = ["*.json", "*.jinja", "*.safetensors", "*.bin", "*.pth", "README.md", "LICENSE*"]
DEFAULT_REVISION = "main"
SUFFIXES = ("safetensors", "bin", "pth")


class Uninitialised(TorchFunctionMode):
    """Build modules without initial values: their weights are loaded afterwards.

    On the meta device, PyTorch's normal_ does nothing, but imports the compiler first, which takes 2 s.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def find(name: str) -> Path:
    """Return the folder of a model or codec, downloading it if needed. Respects HF_HUB_OFFLINE.

    Args:
        name: a folder, or a hub id with an optional revision: owner/name or owner/name@revision.

    Raises:
        StartError: it is neither a folder nor a hub id.
        HubError: it can't be downloaded.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    repository, revision = _of_hub(name)
    with _from_hub(name):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=HUB_FILES))


def find_file(name: str, file: str) -> Path:
    """Return one file of a model or codec, without downloading the others; see `find`."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder / file
    repository, revision = _of_hub(name)
    with _from_hub(name):
        return Path(hf_hub_download(repository, file, revision=revision))


def _of_hub(name: str) -> tuple[str, str]:
    """Split a hub id into repository and revision."""
    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        raise StartError(f"There is no folder {name}. Use a folder, or a hub id such as owner/name.")
    return repository, revision or DEFAULT_REVISION


@contextmanager
def _from_hub(name: str) -> Iterator[None]:
    """Raise HubError for failures of the hub."""
    try:
        yield
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise HubError(
            f"{name} is not a folder and can't be downloaded from the Hugging Face hub ({error}). Check the "
            "name and the network, set HF_TOKEN if it is gated, or download it and use its folder."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a model. Raises StartError if it is missing or invalid."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"Can't read {path} ({error}). Download the model again.") from error


def weight_files(folder: Path, suffix: str) -> list[Path]:
    """Return a folder's weight files of one format, by its index if it has one; may be empty."""
    indexes = sorted(folder.glob(f"*.{suffix}.index.json"))
    shards = {folder / shard for index in indexes for shard in read_json(index)["weight_map"].values()}
    return sorted(shards or folder.glob(f"*.{suffix}"))


def read_weights(
    folder: Path, prefix: str = "", suffixes: Sequence[str] = SUFFIXES
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of a folder by name: from its safetensors, else .bin, else .pth files.

    Args:
        folder: the model's folder.
        prefix: only tensors with this prefix, which is removed from their names.
        suffixes: file formats to look for, in order.

    Raises:
        StartError: there are no weights, or a file is unreadable.
    """
    paths = next(filter(None, (weight_files(folder, suffix) for suffix in suffixes)), None)
    if paths is None:
        raise StartError(f"There are no weights in {folder} (*.safetensors, *.bin or *.pth).")
    for path in paths:
        yield from read_tensors(path, prefix).items()


def names_in(path: Path) -> list[str]:
    """Return the tensor names in a file, without reading the tensors."""
    if path.suffix == ".safetensors":
        with _readable(path), safe_open(path, framework="pt") as file:
            return list(file.keys())
    with _readable(path):
        return list(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def read_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """Return the tensors of a file by name; for `prefix` see read_weights."""
    with _readable(path):
        if path.suffix != ".safetensors":
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            return {name[len(prefix) :]: tensors[name] for name in tensors if name.startswith(prefix)}
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 (not a dict)
            return {name[len(prefix) :]: file.get_tensor(name) for name in names}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise StartError if a weights file is missing or corrupt."""
    try:
        yield
    except (OSError, SafetensorError, UnpicklingError, RuntimeError) as error:
        raise StartError(f"Can't read {path} ({error}). Download the model again.") from error


def compare(folder: Path, wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    """Raise StartError if tensors are missing, unexpected or have another shape."""
    both = wanted.keys() & found.keys()
    kinds = {
        "missing": wanted.keys() - found.keys(),
        "unexpected": found.keys() - wanted.keys(),
        "of another shape": {name for name in both if wanted[name].shape != found[name].shape},
    }
    faults = [f"{kind}: {_few(sorted(names))}" for kind, names in kinds.items() if names]
    if faults:
        raise StartError(
            f"The weights in {folder} don't match its config.json ({'; '.join(faults)}). "
            "Download the model again, or choose another one (HIGGS_MODEL, HIGGS_CODEC)."
        )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
