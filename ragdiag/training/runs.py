"""What a fine-tuning run leaves in the registry: the one shape of ``TrainingRun.facts``.

A run says more of itself as it goes on. From its first row on it has ``base``, ``method``,
``options`` and ``data``; what is not known yet is None or empty. Every estimate is
``{"value", "low", "high", "n"}``, null with a ``reason`` where undefined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
)

from ragdiag.errors import TrainingError
from ragdiag.records import Estimate
from ragdiag.stats.paired import holm
from ragdiag.store.training_runs import TrainingRun

SetName = Literal["test", "dev", "temporal", "synthetic", "regressions"]
"""What a run is measured on: judged questions of the split, none of them trained on; those that
users first asked later than any that was; made ones, of templates that no training saw; regression
questions."""


def _read_estimate(value: Any) -> Estimate:
    if isinstance(value, Estimate):
        return value
    try:
        return Estimate.from_json(value)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an estimate ({error!r})") from None


JsonEstimate = Annotated[
    Estimate, PlainValidator(_read_estimate), PlainSerializer(lambda value: value.to_json())
]


@dataclass(frozen=True)
class Base:
    """The model that training began from, by its name and the SHA-256 of its weights."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Data:
    """``data_hash`` is that of the training set; ``by_source`` counts its ``pairs`` (or examples)
    by where they come from; ``held_out`` counts the questions of each set measured on, ``refused``
    what could not be learned from, by reason."""

    data_hash: str
    pairs: int
    by_source: Mapping[str, int] = field(default_factory=dict)
    held_out: Mapping[SetName, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """Of all stretches of the run together, from the beginning of its command to the gate.
    ``training_s`` is what of ``wall_s`` was spent in the training loop, 0 before there was any; it
    is None in runs from before the rest was counted, whose numbers are of the loop alone.
    ``energy_wh`` is an estimate and ``assumption`` what it rests on, such as "30 W a busy core";
    None where nobody made one."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    gpu_hours: float = 0.0
    energy_wh: float | None = None
    assumption: str = ""
    training_s: float | None = None


@dataclass(frozen=True)
class Change:
    """One metric before and after on the same questions: ``difference`` is after − before, ``p``
    that of the paired test and ``detectable`` the least difference that it would show (METHODS.md
    §10), None where undefined; ``detectable_reason`` says why, but in runs from before it was told
    of any.

    Where the differences have no spread the error is 0, and so would the least difference be, which
    nothing could show: that is undefined, in rows of before it was told as well.
    """

    metric: str
    before: JsonEstimate
    after: JsonEstimate
    difference: JsonEstimate
    p: float | None = None
    detectable: float | None = None
    detectable_reason: str | None = None

    def __post_init__(self) -> None:
        if self.detectable == 0:
            moved = "all moved alike" if self.difference.value else "all the same"
            object.__setattr__(self, "detectable", None)
            object.__setattr__(self, "detectable_reason", moved)
        elif self.detectable is None and self.p is None and math.isnan(self.difference.low):
            object.__setattr__(self, "detectable_reason", "too few")


@dataclass(frozen=True)
class Moved:
    """A question whose result is another one: the rank of its first gold passage before and after
    (None: not found), or its score where the run is of answers."""

    question_id: str
    before: int | float | None
    after: int | float | None


@dataclass(frozen=True)
class Measured:
    """One set: its changes, the primary metric first, and by slice (topic → the same). ``gained``
    and ``lost`` are told of the regression questions; those of the first set stand in RunFacts."""

    name: SetName
    changes: Annotated[tuple[Change, ...], Field(min_length=1)]
    slices: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    gained: tuple[Moved, ...] = ()
    lost: tuple[Moved, ...] = ()


@dataclass(frozen=True)
class Overfit:
    """``drop`` is the gain of ``metric`` on ``learned`` less that on ``unseen``, with its interval:
    above 0, part of the gain was not of use on new questions."""

    metric: str
    learned: SetName
    unseen: SetName
    drop: JsonEstimate
    verdict: Literal["none", "overfit", "unknown"]


def _each(value: Any) -> Any:
    """Runs of before there could be several have one, or null."""
    if value is None:
        return ()
    return (value,) if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Gated:
    """As ``ragdiag gate`` decides; ``reasons`` are whole sentences, the deciding one first."""

    decision: Literal["pass", "rollback", "inconclusive"]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """The version that was left ready to be tried on a share of production."""

    name: str
    version_id: str


@dataclass(frozen=True)
class RunFacts:
    """Everything that is known of one run.

    ``options`` is plain JSON. ``version`` names the version that was tuned, ``split`` its judged
    questions. ``gained`` and ``lost`` are questions of the first of ``measured``, the largest move
    first; ``moved_by`` says what their numbers are. ``overfit`` has one for each set of new
    questions. ``artefact`` is what was made, a folder within the run's. ``error`` is the one line
    of a run that failed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    base: Base
    method: str
    version: str
    split: str
    options: Mapping[str, Any] = field(default_factory=dict)
    data: Data | None = None
    cost: Cost | None = None
    measured: tuple[Measured, ...] = ()
    moved_by: Literal["rank", "score"] = "rank"
    gained: tuple[Moved, ...] = ()
    lost: tuple[Moved, ...] = ()
    overfit: Annotated[tuple[Overfit, ...], BeforeValidator(_each)] = ()
    gate: Gated | None = None
    artefact: str | None = None
    candidate: Candidate | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, undefined numbers null."""
        document: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any], run_id: str) -> RunFacts:
        """What :meth:`to_json` wrote. Raises TrainingError that names run, key and fault."""
        try:
            return _adapter().validate_python(dict(document))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "facts"
            raise TrainingError(
                f"the facts of training run {run_id} cannot be read ({where}: {first['msg']})",
                remedy="they were written by another ragdiag: use that one, or train again",
            ) from None


def facts_of(run: TrainingRun) -> RunFacts:
    """The facts of a row of the registry. Raises TrainingError."""
    return RunFacts.from_json(run.facts, run.run_id)


def holm_of(changes: Sequence[Change]) -> list[float]:
    """p of each, corrected for all that are shown together (METHODS.md §10); NaN where undefined,
    which takes no part in it."""
    return holm([math.nan if one.p is None else one.p for one in changes])


@cache
def _adapter() -> TypeAdapter[RunFacts]:
    return TypeAdapter(RunFacts)
