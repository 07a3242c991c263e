"""The rule by which kernels serve: only where they work, and compute what their reference computes."""

import logging
from collections.abc import Callable
from typing import TypeVar

Eager = TypeVar("Eager")
Kernels = TypeVar("Kernels")

log = logging.getLogger(__name__)


def kernels_or(
    eager: Eager,
    build: Callable[[], Kernels],
    is_right: Callable[[float], bool],
    measure: Callable[[Kernels], float],
    unusable: str,
    different: str,
) -> Eager | Kernels:
    """Return kernels if they work here and are right, else what they would replace; the log says why.

    Args:
        eager: the reference.
        build: makes the kernels.
        is_right: whether what was measured is good enough; NaN must not be.
        measure: compares the kernels with the reference.
        unusable: the warning if anything fails, of one %s, the failure.
        different: the warning if they are not right, of one number, what was measured.
    """
    try:
        kernels = build()
        measured = measure(kernels)
    except Exception as failure:  # whatever a missing package, a compiler or a driver raises
        log.warning(unusable, failure)
        return eager
    if not is_right(measured):
        log.warning(different, measured)
        return eager
    return kernels
