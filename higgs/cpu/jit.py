"""Numba compilation, with an on-disk cache, for steps made of many small operations."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

NUMBA: Any = numba.config
HERE = Path(__file__).parent
# Numba invalidates its cache only by a function's own file, so the folder's name covers all files.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))).hexdigest()
KEPT = Path(NUMBA.CACHE_DIR or HERE / "__pycache__") / f"compiled-{SOURCES[:16]}"


def jit(function: Callable[..., Any], reordered: bool = False) -> Callable[..., Any]:
    """Compile at the first call, which takes seconds, and cache the result on disk. Releases the GIL.

    Loops compile in no time. Assigning a slice or indexing by an array takes a second or two each: numba
    compiles their error messages, too.

    Args:
        function: the function to compile.
        reordered: allow sums in another order, so that loops over them are vectorised; assumes no NaNs.
    """
    fast = {"contract", "reassoc", "nsz", "nnan"} if reordered else {"contract"}
    options: dict[str, Any] = {"nogil": True, "fastmath": fast, "error_model": "numpy"}
    before, NUMBA.CACHE_DIR = NUMBA.CACHE_DIR, str(KEPT)
    try:
        return numba.njit(cache=True, **options)(function)
    except (RuntimeError, OSError):  # the folder isn't writable
        return numba.njit(**options)(function)
    finally:
        NUMBA.CACHE_DIR = before


def jit_reassociated(function: Callable[..., Any]) -> Callable[..., Any]:
    """See `jit`, with reordered sums."""
    return jit(function, reordered=True)
