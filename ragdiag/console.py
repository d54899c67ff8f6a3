"""What a command says: one document on stdout, progress on stderr, errors as one line."""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from ragdiag.errors import InputError
from ragdiag.jobs import ProgressFile
from ragdiag.progress import Progress
from ragdiag.records import Estimate

USER_ERROR = 2


def emit(document: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Print the document as JSON (undefined numbers are null, never NaN), or as text."""
    print(json.dumps(document, indent=2, allow_nan=False) if as_json else text())


def fail(message: str) -> int:
    """One line on stderr, whatever the message holds; returns the exit status."""
    print(f"ragdiag: {' '.join(message.split())}", file=sys.stderr)
    return USER_ERROR


def write_text(path: Path, text: str) -> None:
    """Raises InputError where ``path`` cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write {path} ({error.strerror})", remedy="name another file"
        ) from None


@contextmanager
def progress_to(progress_file: Path | None) -> Iterator[Progress]:
    """Progress on stderr, one line a step of 5 %, and in ``progress_file`` for who watches it; who
    does may stop the command with SIGTERM as with Ctrl-C, and the file says so."""
    with ExitStack() as stack:
        also = None
        if progress_file is not None:
            stack.enter_context(_stopped_by_sigterm())
            also = stack.enter_context(ProgressFile(progress_file))
        last = -1.0

        def show(fraction: float, message: str) -> None:
            nonlocal last
            if also is not None:
                also(fraction, message)
            if fraction - last >= 0.05 or (fraction >= 1 > last):
                last = fraction
                print(f"{fraction:4.0%}  {message}", file=sys.stderr, flush=True)

        yield show


@contextmanager
def waiting_for_stop() -> Iterator[Callable[[float], bool]]:
    """Within, SIGINT and SIGTERM interrupt nothing but ``wait(seconds)``, which is what this gives:
    True at once where one of them has come, False when the seconds are over. Only for the main
    thread."""
    asked: SimpleQueue[int] = SimpleQueue()  # a handler may put into it whatever it interrupts

    def wait(seconds: float) -> bool:
        try:
            asked.get(timeout=seconds)
        except Empty:
            return False
        return True

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: asked.put(number)) for number in numbers]
    try:
        yield wait
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Only the main thread may say what a signal does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as aligned columns, headed by the keys of the first; empty without rows.

    >>> print(table([{"name": "dense", "n": 5}]))
    name   n
    dense  5
    """
    if not rows:
        return ""
    cells = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def show_estimate(estimate: Estimate, digits: int = 3) -> str:
    """``value (low–high, n = …)``; says why where there is no value or no interval.

    >>> show_estimate(Estimate(0.5, 0.25, 0.75, 12))
    '0.500 (0.250–0.750, n = 12)'
    >>> show_estimate(Estimate(1.0, math.nan, math.nan, 1, "one value has no interval"))
    '1.000 (one value has no interval, n = 1)'
    """
    if math.isnan(estimate.value):
        return f"undefined: {estimate.reason}"
    bounds = f"{estimate.low:.{digits}f}–{estimate.high:.{digits}f}"
    if math.isnan(estimate.low):
        bounds = estimate.reason or "no interval"
    return f"{estimate.value:.{digits}f} ({bounds}, n = {estimate.n})"
