"""All that a run needs to go on exactly where it was, in one file that is replaced whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragdiag.errors import TrainingError
from ragdiag.training.curves import Point
from ragdiag.training.files import replace_file

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class State:
    """``weights`` and ``optimizer`` are filled when a checkpoint is written; ``idle`` counts looks
    in a row without a better score."""

    best: dict[str, Tensor]
    first_score: float
    best_score: float
    last_score: float
    step: int = 0
    best_step: int = 0
    idle: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    others_s: float = 0.0
    weights: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    curve: list[Point] = field(default_factory=list)


def save_state(path: Path, state: State, size: int, options: Any) -> None:
    """Replace ``path``; the old file stays where the new one cannot be written whole.

    ``size`` and ``options`` say of which run it is. Raises StoreFull.
    """
    import torch

    held = {one.name: getattr(state, one.name) for one in fields(state)}
    held["curve"] = [asdict(point) for point in state.curve]
    replace_file(path, lambda file: torch.save({"run": _run(size, options), "state": held}, file))


def load_state(path: Path, size: int, options: Any) -> State | None:
    """What :func:`save_state` wrote, or None where there is none.

    Raises TrainingError where it is of another run or cannot be read. Nothing in it is executed.
    """
    if not path.is_file():
        return None
    import torch

    try:
        held = torch.load(path, weights_only=True)
        run, state = held["run"], dict(held["state"])
        state["curve"] = [Point(**point) for point in state["curve"]]
        found = State(**state)
    except Exception as error:  # torch, zip and pickle share no type for a broken file
        raise TrainingError(
            f"the checkpoint {path} cannot be read ({type(error).__name__})",
            remedy="remove it to begin again",
        ) from None
    if run != _run(size, options):
        raise TrainingError(
            f"the checkpoint {path} is of a run with other data or options",
            remedy="remove it to begin again, or repeat the options it was begun with",
        )
    return found


def _run(size: int, options: Any) -> dict[str, Any]:
    return {"size": size, **asdict(options)}
