"""The learning curve of a run, as a file that a page reads while the run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ragdiag.training.files import replace_file


@dataclass(frozen=True, slots=True)
class Point:
    """After ``step`` steps and ``wall_s`` seconds: the mean loss since the last point (None before
    the first step) and the dev score (None where it was not scored)."""

    step: int
    loss: float | None
    score: float | None
    learning_rate: float
    wall_s: float


def write_curve(path: Path, curve: Sequence[Point]) -> None:
    """Replace the file; a reader sees the old one or the new."""
    lines = "".join(json.dumps(asdict(point)) + "\n" for point in curve)
    replace_file(path, lambda file: file.write(lines.encode()))


def read_curve(path: Path) -> tuple[Point, ...]:
    """Nothing where no run has written there yet."""
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Point(**json.loads(line)) for line in lines)
