"""A training folder belongs to one run: what the run was begun with is written there first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragdiag.errors import TrainingError
from ragdiag.training.files import replace_file
from ragdiag.training.processes import Processes

TASK = "task.json"


def claim(folder: Path, known: Mapping[str, Any]) -> None:
    """Write what is ``known`` of the run that begins in ``folder``. Raises TrainingError where the
    folder is of a run with other data or options."""
    text = json.dumps(known, indent=1, sort_keys=True)
    path = folder / TASK
    if path.is_file():
        if path.read_text(encoding="utf-8") != text:
            raise TrainingError(
                f"{folder} holds a run with other data or options",
                remedy="name a new folder, or repeat the options it was begun with",
            )
    elif Processes().is_first:
        replace_file(path, lambda file: file.write(text.encode()))
