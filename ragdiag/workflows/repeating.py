"""Doing the same again and again, whatever becomes of one turn."""

from __future__ import annotations

from collections.abc import Callable

from ragdiag.errors import RagdiagError, StoreBusy


def repeat(
    once: Callable[[], object],
    every_s: float,
    *,
    failed: Callable[[RagdiagError], object],
    wait: Callable[[float], bool],
) -> None:
    """Call ``once``, and again after each ``wait(every_s)`` until that says True.

    A turn that fails is told to ``failed``, and the next one comes all the same. The first one's
    failure is raised, unless the store was busy: it is the caller's mistake.
    """
    try:
        once()
    except StoreBusy as error:
        failed(error)
    while not wait(every_s):
        try:
            once()
        except RagdiagError as error:
            failed(error)
