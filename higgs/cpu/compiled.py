"""Python made machine code by Numba, where a step's many small kernels would cost more than their work."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any], reordered: bool = False) -> Callable[..., Any]:
    """Compile at the first call, which takes seconds, and keep the result on the disk for the next start.

    Numba looks at the function's own file only to see whether what it kept is out of date: everything that a
    compiled function calls stands in its file. Other threads run while it works.

    reordered: its sums may be added up in another order, so that loops over them become vectors; all its
        numbers are numbers.
    """
    fast = {"contract", "reassoc", "nsz", "nnan"} if reordered else {"contract"}
    options: dict[str, Any] = {"nogil": True, "fastmath": fast, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's can be written to
        return numba.njit(**options)(function)


def compiled_sum(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `compiled`, reordered."""
    return compiled(function, reordered=True)
