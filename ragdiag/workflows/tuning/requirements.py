"""What is refused before a run of ``ragdiag tune`` begins its work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ragdiag.errors import InputError
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_versions
from ragdiag.store.training_runs import list_runs
from ragdiag.training.reranker.losses import DISTILLED
from ragdiag.training.run_folder import unfinished_run


def require_apart(split: str | None, test: str) -> None:
    """Raises InputError where what is learnt from ``split`` would be tested on the same."""
    if split == test:
        raise InputError(
            f"the split {split!r} cannot be learned from and tested on",
            remedy="name another with --split or --test",
        )


def require_teacher(loss: str, teacher: str | None) -> None:
    """Raises InputError where ``loss`` learns from a teacher and none is named."""
    if teacher is None and loss in DISTILLED:
        raise InputError(
            f"the loss {loss} learns from a teacher, and none is named",
            remedy="name a cross-encoder with --teacher, or choose another --loss",
        )


def check_rate(given: float | None) -> None:
    """Raises InputError for a learning rate that is no number above 0."""
    if given is not None and not (math.isfinite(given) and given > 0):
        raise InputError(
            f"nothing is learnt at the learning rate {given:g}",
            remedy="choose one above 0 with --learning-rate, or leave it out",
        )


def refuse_taken_name(lake: Lake, name: str | None) -> None:
    """As :func:`require_free_name`, before the data of the run is known: raises InputError where no
    unfinished run whatever can have made the version called ``name``."""
    taken = next((one for one in list_versions(lake) if one.name == name), None)
    if taken is not None:
        spec = taken.spec.model_dump_json()
        if not any(run.state != "done" and run.run_id in spec for run in list_runs(lake)):
            raise _taken(taken.name)


def require_free_name(
    lake: Lake, workspace: Workspace, config: Mapping[str, Any], name: str | None
) -> None:
    """Raises InputError where there is a version called ``name`` already, unless the unfinished run
    of this ``config`` has made it."""
    taken = next((one for one in list_versions(lake) if one.name == name), None)
    if taken is None:
        return
    begun = unfinished_run(lake, workspace, config)
    if begun is None or begun.run_id not in taken.spec.model_dump_json():
        raise _taken(taken.name)


def _taken(name: str) -> InputError:
    return InputError(
        f"there is a version {name} already", remedy="choose another name with --save-as"
    )
