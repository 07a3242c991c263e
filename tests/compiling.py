"""Compile the kernels of the CPU path once, whatever number of workers run the tests."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_found: set[str] = set()


@contextmanager
def compiling(model: str) -> Iterator[None]:
    """Let one process at a time start its first server of a kind: the next ones find its kernels compiled.

    Only the first worker to come compiles, for five seconds, while others do what needs no server.
    """
    kind = "bundled" if Path(model).name.startswith("higgs") else "tiny"  # weights in float16, or in float32
    if kind in _found:
        yield
        return
    with Path(tempfile.gettempdir(), f"higgs-tests-{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    _found.add(kind)
