"""Ctrl-C while DuckDB works.

DuckDB lets the handler of a signal run between two steps of a query, and then raises a
RuntimeError of its own in place of the KeyboardInterrupt that the handler raised. Whoever waits
for the interrupt (a job that keeps what is finished, the command's exit status) would take it for a
defect.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_SAID = "Query interrupted"


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt where a signal ended a query within; anything else passes through."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != _SAID:
            raise
        raise KeyboardInterrupt from None
