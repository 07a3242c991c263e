"""A GPU that isn't there: fake tensors, stubs of streams, events and graphs, and a watch over all of it."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("cuda:0")
MEMORY = 80 * 10**9

WAITS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}
COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}


class Forbidden(Exception):
    """A GPU would be waited for, or refuse."""


class Watch(TorchDispatchMode):
    """Computes on the CPU what is on the CPU, and forbids what a GPU can't do or must be waited for.

    Always: a number or a count read from the GPU; a convolution that isn't cuDNN's.
    While a graph is captured: whatever touches the CPU.
    Where `serving`, on the engine's thread: copies between CPU and GPU that aren't non-blocking.
    """

    def __init__(self, serving: bool = False) -> None:
        super().__init__()
        self.serving, self.capturing = serving, False
        self.convolutions = 0
        self.tf32: set[bool] = set()  # whether convolutions may round to it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        devices = {tensor.device.type for tensor in tensors}
        if "device" in kwargs:
            devices.add(torch.device(kwargs["device"] or "cpu").type)
        fake = any(isinstance(tensor, FakeTensor) for tensor in tensors) or kwargs.get("pin_memory")
        if "cuda" not in devices and not fake:
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        self._check(func, args, kwargs, devices)
        return func(*args, **kwargs)

    def _check(self, func: Any, args: Any, kwargs: dict[str, Any], devices: set[str]) -> None:
        if "cuda" in devices and func in WAITS:
            raise Forbidden(f"{func} waits for the GPU")
        if self.capturing and devices - {"cuda"}:
            raise Forbidden(f"{func} touches the CPU within a capture")
        non_blocking = kwargs.get("non_blocking") or any(arg is True for arg in args[2:3])  # copy_'s third
        if self.serving and len(devices) > 1 and func in COPIES and not non_blocking:
            raise Forbidden(f"{func} between CPU and GPU waits")
        if "conv" in func.name() and "cuda" in devices:
            self.tf32.add(torch.backends.cudnn.allow_tf32)
        if func is torch.ops.aten.convolution.default and "cuda" in devices:
            self._check_backend(args)

    def _check_backend(self, args: Any) -> None:
        """Of a convolution; whether cuDNN dilates is asked of the GPU, which isn't there."""
        backends: Any = torch._C._ConvBackend  # type: ignore[attr-defined]
        backend, dilated = torch._C._select_conv_backend(*args), set(args[5]) != {1}
        allowed = {backends.Cudnn, backends.CudnnTranspose} | ({backends.SlowDilated2d} if dilated else set())
        if backend not in allowed:
            raise Forbidden(f"a convolution by {backend}")
        self.convolutions += 1


class Launches(TorchDispatchMode):
    """Counts what a GPU would be handed, one by one: each operation that isn't a view; some are several."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shared = [result.alias_info for result in func._schema.returns if result.alias_info is not None]
        is_view = any(not alias.is_write for alias in shared)
        result = func(*args, **(kwargs or {}))
        on_gpu = any(isinstance(leaf, torch.Tensor) and leaf.is_cuda for leaf in tree_leaves((args, result)))
        self.count += on_gpu and not is_view and func.namespace != "prim"
        return result


class FakeStream:
    def __init__(self, device: Any = None, priority: int = 0, **more: Any) -> None:
        self.device, self.priority = DEVICE, priority

    def wait_stream(self, other: "FakeStream") -> None:
        assert isinstance(other, FakeStream)

    def synchronize(self) -> None:
        pass


class FakeEvent:
    recorded = False

    def __init__(self, blocking: bool = False) -> None:
        self.blocking = blocking

    def record(self, stream: Any = None) -> None:
        self.recorded = True

    def synchronize(self) -> None:
        assert self.recorded


class FakeGraph:
    captured: ClassVar[list["FakeGraph"]] = []

    def __init__(self) -> None:
        self.replays = 0
        FakeGraph.captured.append(self)

    def replay(self) -> None:
        self.replays += 1


@contextmanager
def fake_cuda(patch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Within it cuda:0 is there, with MEMORY bytes; enter `watched` in each further thread."""
    watch = Watch()

    @contextmanager
    def graph(graph: FakeGraph, pool: Any = None, stream: Any = None, capture_error_mode: str = "") -> Any:
        assert capture_error_mode == "thread_local"
        watch.capturing = True
        try:
            yield
        finally:
            watch.capturing = False

    stubs = {
        "Stream": FakeStream,
        "Event": FakeEvent,
        "CUDAGraph": FakeGraph,
        "graph": graph,
        "graph_pool_handle": lambda: (0, 1),
        "stream": lambda stream: contextlib.nullcontext(stream),
        "current_stream": lambda device=None: FakeStream(),
        "default_stream": lambda device=None: FakeStream(),
        "mem_get_info": lambda device=None: (MEMORY, MEMORY),
        "empty_cache": lambda: None,
        "get_device_capability": lambda device=None: (9, 0),
    }
    for name, stub in stubs.items():
        patch.setattr(torch.cuda, name, stub)
    FakeGraph.captured = []
    with watched(watch):
        yield watch


_MODE = FakeTensorMode(allow_non_fake_inputs=True)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """The fake GPU in this thread."""
    with _MODE, watch:
        yield
