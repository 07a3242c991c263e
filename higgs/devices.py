"""Which device the model runs on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from errors import StartError


def device_of(wanted: str) -> torch.device:
    """The device of a setting: auto (CUDA where it is there), cpu, cuda, or one of several GPUs: cuda:1.

    Raises:
        StartError: There is no such device here, or it isn't supported.
    """
    if wanted == "mps":
        raise StartError(
            "HIGGS_DEVICE=mps is not supported: the engine was never run on Apple's GPUs. Set it to cpu; the "
            "bundled model is faster there than real time."
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
            f"HIGGS_DEVICE is {wanted}, but there are {count} CUDA devices, the first is cuda:0."
        )
    return torch.device("cuda", index)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a GPU; None on a CPU, where nothing is planned."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None


def upload(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the CPU on a device; from pinned memory, so that the copy waits for nothing."""
    if device.type != "cuda":
        return tensor.to(device)
    pinned = torch.empty_like(tensor, pin_memory=True, memory_format=torch.contiguous_format)
    return pinned.copy_(tensor).to(device, non_blocking=True)


@contextmanager
def own_stream(device: torch.device) -> Iterator[torch.cuda.Stream | None]:
    """A CUDA stream that goes before all others, for what is done within and later with on_stream; None on a
    CPU. When the block ends, all that was begun in it is done."""
    if device.type != "cuda":
        yield None
        return
    stream = torch.cuda.Stream(device, priority=-1)
    stream.wait_stream(torch.cuda.default_stream(device))  # on which the weights came
    with torch.cuda.stream(stream):
        yield stream
    stream.synchronize()


def on_stream(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Work on a stream, and on its device."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)
