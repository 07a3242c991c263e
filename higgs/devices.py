"""Selection of the device, and CUDA streams and copies."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from errors import StartError


def device_of(wanted: str) -> torch.device:
    """Return the device of the setting: auto (CUDA if available), cpu, cuda, or one of several GPUs: cuda:1.

    Raises:
        StartError: there is no such device, or it isn't supported.
    """
    if wanted == "mps":
        raise StartError(
            "HIGGS_DEVICE=mps is not supported: the engine was never tested on Apple GPUs. Set it to cpu, "
            "where the bundled model is faster than real time."
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return torch.device("cpu")
    index = torch.device("cuda" if wanted == "auto" else wanted).index or 0
    if not count:
        raise StartError(
            f"HIGGS_DEVICE is {wanted}, but PyTorch finds no CUDA device; set it to cpu or auto."
        )
    if index >= count:
        raise StartError(
            f"HIGGS_DEVICE is {wanted}, but there are only {count} CUDA devices, from cuda:0 on."
        )
    return torch.device("cuda", index)


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a GPU; None on a CPU."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a CPU tensor to a device; to a GPU asynchronously, from pinned memory."""
    if device.type != "cuda":
        return tensor.to(device)
    pinned = torch.empty_like(tensor, pin_memory=True, memory_format=torch.contiguous_format)
    return pinned.copy_(tensor).to(device, non_blocking=True)


@contextmanager
def own_stream(device: torch.device) -> Iterator[torch.cuda.Stream | None]:
    """Run a block on a new high-priority CUDA stream; synchronise it at the end. Yields None on a CPU."""
    if device.type != "cuda":
        yield None
        return
    stream = torch.cuda.Stream(device, priority=-1)
    stream.wait_stream(torch.cuda.default_stream(device))  # where the weights were copied
    with torch.cuda.stream(stream):
        yield stream
    stream.synchronize()


def on_stream(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Return a context that runs on a stream and its device."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)
