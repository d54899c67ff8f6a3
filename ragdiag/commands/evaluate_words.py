"""An evaluation as the rows of a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ragdiag.console import show_estimate, table

if TYPE_CHECKING:
    from ragdiag.workflows.comparing.evaluate import Evaluation

Row = dict[str, str]


def evaluation_text(found: Evaluation) -> str:
    """The table, the questions whose labels contradict each other, and the snapshot."""
    from ragdiag.workflows.diagnosing.contradictions import contradiction_lines

    lines = [table(evaluation_rows(found)), *contradiction_lines(found.contradicting)]
    return "\n".join([*lines, f"snapshot {found.snapshot}"])


def evaluation_rows(found: Evaluation) -> list[Row]:
    """Metrics, what they leave out, gold by stage, kinds of questions (topics, which may be many,
    are in the JSON alone; metrics that none has are left out), latencies."""
    rows = [_row(name, show_estimate(one)) for name, one in found.metrics.items()]
    n = len(found.requests)
    if found.ungraded:
        low, high = found.correct_bounds
        rows.append(
            _row("correct of all", f"{low:.3f} to {high:.3f}, {found.ungraded} of {n} not graded")
        )
    if found.errors:
        rows.append(_row("errors", f"{found.errors} of {n}"))
    for stage in found.stages:
        lost = f", lost {show_estimate(stage.lost)}" if stage.lost.n else ""
        rows.append(_row(f"gold recall, {stage.stage}", f"{show_estimate(stage.recall)}{lost}"))
    rows += [
        _row(f"{name}, {one.kind}: {one.name}", show_estimate(value))
        for one in found.slices
        if one.kind != "topic"
        for name, value in one.metrics.items()
        if not math.isnan(found.metrics[name].value)
    ]
    return rows + [
        _row(f"{stage} {name} ms", show_estimate(one, 1))
        for stage, quantiles in found.latency_ms.items()
        for name, one in quantiles.items()
    ]


def _row(metric: str, estimate: str) -> Row:
    return {"metric": metric, "estimate": estimate}
