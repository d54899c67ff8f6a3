"""How ``ragdiag tune`` tells of a run in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ragdiag.console import show_estimate, table
from ragdiag.training.costs import took_text, used_text
from ragdiag.training.curves import Point
from ragdiag.training.loop import duration
from ragdiag.training.runs import Change, Measured, Moved, RunFacts, holm_of
from ragdiag.workflows.tuning.state import KnownRun

MOVED = 20
"""Rows of a table of questions that moved, the largest move first."""
FITS = {
    "none": "no overfitting shown",
    "overfit": "overfitting",
    "unknown": "overfitting: too few to tell",
}
ENDED = "its process went away; the same command goes on with it"


def run_row(run: KnownRun) -> dict[str, Any]:
    """One line of ``tune list``."""
    facts = run.facts
    at = run.recorded_at
    return {
        "run": run.run_id,
        "kind": run.kind,
        "state": run.standing,
        "version": "?" if facts is None else facts.version,
        "method": "?" if facts is None else facts.method,
        "change": _first_change(facts),
        "gate": "" if facts is None or facts.gate is None else facts.gate.decision,
        "waits": "for a canary" if run.waits else "",
        "last word (UTC)": "" if at is None else f"{at:%Y-%m-%d %H:%M}",
    }


def run_text(run: KnownRun, curve: Sequence[Point], folder: Path) -> str:
    """All of ``tune show``."""
    lines = [f"run {run.run_id}: {run.kind}, {run.standing}", f"folder {folder}"]
    if run.standing == "ended":
        lines.append(ENDED)
    if run.facts is None:
        return "\n".join([*lines, run.fault or ""])
    told = [*_begun(run.facts), *_curve(curve), *_came_of_it(run.facts), *_candidate(run)]
    return "\n".join([*lines, *told])


def _begun(facts: RunFacts) -> Iterator[str]:
    yield f"tunes {facts.version} on split {facts.split}, method {facts.method}"
    yield f"base {facts.base.name}, SHA-256 {facts.base.sha256}"
    if facts.options:
        yield f"options {options_text(facts.options)}"
    if facts.data is not None:
        sources = _counts(facts.data.by_source)
        yield f"data {facts.data.data_hash}: {facts.data.pairs} pairs{sources}"
        if facts.data.refused:
            yield f"refused{_counts(facts.data.refused)}"
        yield f"held out{_counts(facts.data.held_out) or ': nothing'}"
    if facts.cost is not None:
        yield f"cost {took_text(facts.cost)}; {used_text(facts.cost)}"
    if facts.error is not None:
        yield f"error {facts.error}"


def _curve(curve: Sequence[Point]) -> Iterator[str]:
    rows = [
        {
            "step": point.step,
            "loss": "" if point.loss is None else f"{point.loss:.4f}",
            "dev score": "" if point.score is None else f"{point.score:.4f}",
            "after": duration(point.wall_s),
        }
        for point in curve
        if point.score is not None or point is curve[-1]
    ]
    if rows:
        yield ""
        yield table(rows)


def _came_of_it(facts: RunFacts) -> Iterator[str]:
    yield from _measured(facts.measured)
    sets = [(facts.measured[0].name, facts.gained, facts.lost)] if facts.measured else []
    sets += [(found.name, found.gained, found.lost) for found in facts.measured]
    for name, gained, lost in sets:
        yield from _moved(f"gained on {name}", gained, facts.moved_by)
        yield from _moved(f"lost on {name}", lost, facts.moved_by)
    yield ""
    for fit in facts.overfit:
        yield (
            f"{FITS[fit.verdict]}: {fit.metric} gains {show_estimate(fit.drop)} more on "
            f"{fit.learned} than on {fit.unseen}"
        )
    if facts.gate is not None:
        yield f"gate {facts.gate.decision}"
        yield from (f"  {reason}" for reason in facts.gate.reasons)
    if facts.artefact is not None:
        yield f"made {facts.artefact}"


def _measured(measured: Sequence[Measured]) -> Iterator[str]:
    """Every set and slice by metric; Holm over all of them, since they stand side by side."""
    told = [
        (found.name, topic, change)
        for found in measured
        for topic, changes in (
            ("", found.changes),
            *((topic or "no topic", changes) for topic, changes in found.slices.items()),
        )
        for change in changes
    ]
    if told:
        corrected = holm_of([change for _, _, change in told])
        yield ""
        yield table([_change_row(*one, p) for one, p in zip(told, corrected, strict=True)])
        yield f"p: paired t by document, Holm over the {len(told)} rows"


def _moved(title: str, moved: Sequence[Moved], moved_by: str) -> Iterator[str]:
    if moved:
        yield ""
        yield table([_moved_row(title, moved_by, one) for one in moved[:MOVED]])
        if len(moved) > MOVED:
            yield f"and {len(moved) - MOVED} more: --json, or the page Training"


def _candidate(run: KnownRun) -> Iterator[str]:
    """What may be done with the version that was made; a canary takes a gate that passed."""
    made = None if run.facts is None else run.facts.candidate
    if run.facts is None or made is None:
        return
    gate = run.facts.gate
    if run.waits:
        yield f"version {made.name} ({made.version_id}) is ready to be tried:"
        yield f"  ragdiag deploy canary {made.name} --share 5%"
    elif gate is not None and gate.decision == "pass" and run.standing == "done":
        yield f"version {made.name} ({made.version_id}) passed, and was tried beside production"
    else:
        yield (
            f"version {made.name} ({made.version_id}) was made and is not to be tried on users: "
            "its gate did not pass, or its run is not done"
        )


def _first_change(facts: RunFacts | None) -> str:
    if facts is None or not facts.measured:
        return ""
    first = facts.measured[0].changes[0]
    moved = first.difference
    ends = f" ({moved.low:+.3f} to {moved.high:+.3f})" if moved.low == moved.low else ""
    return f"{first.metric} {moved.value:+.3f}{ends}"


def options_text(options: Mapping[str, Any]) -> str:
    """What was left open (None, an empty name) is not told; groups stand in brackets.

    >>> options_text({"loop": {"batch": 8, "micro": None}, "dora": False, "targets": ["q", "k"]})
    'loop (batch 8), dora no, targets q k'
    """

    def shown(value: Any) -> str:
        if isinstance(value, Mapping):
            return f"({options_text(value)})"
        if isinstance(value, bool):
            return "yes" if value else "no"
        many = isinstance(value, list | tuple)
        return " ".join(str(one) for one in value) if many else str(value)

    told = {name: value for name, value in options.items() if value not in (None, "", [], ())}
    return ", ".join(f"{name} {shown(value)}" for name, value in told.items())


def _change_row(name: str, topic: str, change: Change, p: float) -> dict[str, Any]:
    return {
        "set": name,
        "topic": topic,
        "metric": change.metric,
        "before": show_estimate(change.before),
        "after": show_estimate(change.after),
        "difference": show_estimate(change.difference),
        "p (Holm)": _p(p),
        "detectable": _detectable(change),
    }


def _detectable(change: Change) -> str:
    if change.detectable is not None:
        return f"{change.detectable:.3f}"
    return f"undefined ({change.detectable_reason})" if change.detectable_reason else ""


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _moved_row(title: str, moved_by: str, one: Moved) -> dict[str, Any]:
    def shown(value: float | None) -> str:
        return "not found" if value is None else f"{value:g}"

    return {
        title: one.question_id,
        f"{moved_by} before": shown(one.before),
        f"{moved_by} after": shown(one.after),
    }


def _counts(counts: Mapping[Any, int]) -> str:
    """
    >>> _counts({"failure": 1, "judgment": 3}), _counts({})
    (': 3 judgment, 1 failure', '')
    """
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f": {', '.join(f'{n} {name}' for name, n in largest)}" if counts else ""
