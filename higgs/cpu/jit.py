"""Python made machine code by Numba, where a step's many small kernels would cost more than their work."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

NUMBA: Any = numba.config
HERE = Path(__file__).parent
# Numba itself looks at a function's own file only to see whether what it kept is out of date.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))).hexdigest()
KEPT = Path(NUMBA.CACHE_DIR or HERE / "__pycache__") / f"compiled-{SOURCES[:16]}"


def jit(function: Callable[..., Any], reordered: bool = False) -> Callable[..., Any]:
    """Compile at the first call, which takes seconds, and keep the result on the disk for the next start.

    Other threads run while it works.

    reordered: its sums may be added up in another order, so that loops over them become vectors; all its
        numbers are numbers.
    """
    fast = {"contract", "reassoc", "nsz", "nnan"} if reordered else {"contract"}
    options: dict[str, Any] = {"nogil": True, "fastmath": fast, "error_model": "numpy"}
    before, NUMBA.CACHE_DIR = NUMBA.CACHE_DIR, str(KEPT)
    try:
        return numba.njit(cache=True, **options)(function)
    except (RuntimeError, OSError):  # the folder can't be written to
        return numba.njit(**options)(function)
    finally:
        NUMBA.CACHE_DIR = before


def jit_reassociated(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `compiled`, reordered."""
    return jit(function, reordered=True)
