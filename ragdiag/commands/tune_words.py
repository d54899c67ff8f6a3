"""How ``ragdiag tune`` tells of a run in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ragdiag.console import show_estimate, table
from ragdiag.training.curves import Point
from ragdiag.training.loop import duration
from ragdiag.training.runs import Change, Cost, Moved, RunFacts
from ragdiag.workflows.tuning.state import KnownRun

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
    return "\n".join([*lines, *_begun(run.facts), *_curve(curve), *_came_of_it(run.facts)])


def _begun(facts: RunFacts) -> Iterator[str]:
    yield f"tunes {facts.version} on split {facts.split}, method {facts.method}"
    yield f"base {facts.base.name}, SHA-256 {facts.base.sha256}"
    if facts.options:
        yield "options " + ", ".join(f"{name} {value}" for name, value in facts.options.items())
    if facts.data is not None:
        sources = _counts(facts.data.by_source)
        yield f"data {facts.data.data_hash}: {facts.data.pairs} pairs{sources}"
        if facts.data.refused:
            yield f"refused{_counts(facts.data.refused)}"
        yield f"held out{_counts(facts.data.held_out) or ': nothing'}"
    if facts.cost is not None:
        yield f"cost {cost_text(facts.cost)}"
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
    rows = []
    for found in facts.measured:
        rows += [_change_row(found.name, "", change) for change in found.changes]
        for topic, changes in found.slices.items():
            rows += [_change_row(found.name, topic or "no topic", change) for change in changes]
    if rows:
        yield ""
        yield table(rows)
    for title, moved in (("gained", facts.gained), ("lost", facts.lost)):
        if moved:
            yield ""
            yield table([_moved_row(title, facts.moved_by, one) for one in moved])
    yield ""
    if facts.overfit is not None:
        fit = facts.overfit
        yield (
            f"overfitting {fit.verdict}: {fit.metric} gains {show_estimate(fit.drop)} more on "
            f"{fit.learned} than on {fit.unseen}"
        )
    if facts.gate is not None:
        yield f"gate {facts.gate.decision}"
        yield from (f"  {reason}" for reason in facts.gate.reasons)
    if facts.artefact is not None:
        yield f"made {facts.artefact}"
    if facts.candidate is not None:
        yield f"version {facts.candidate.name} ({facts.candidate.version_id}) is ready to be tried:"
        yield f"  ragdiag deploy canary {facts.candidate.name} --share 5%"


def cost_text(cost: Cost) -> str:
    """Time, memory and energy in one line.

    >>> cost_text(Cost(90.0, 150.0, 2_000_000_000, 0.0, 1.25, "30 W a busy core"))
    '2 min, 2 min of processors, at most 2.0 GB, about 1.2 Wh (30 W a busy core)'
    """
    parts = [duration(cost.wall_s), f"{duration(cost.cpu_s)} of processors"]
    if cost.gpu_hours:
        parts.append(f"{cost.gpu_hours:.2f} GPU hours")
    parts.append(f"at most {cost.peak_bytes / 1e9:.1f} GB")
    if cost.energy_wh is not None:
        assumed = f" ({cost.assumption})" if cost.assumption else ""
        parts.append(f"about {cost.energy_wh:.1f} Wh{assumed}")
    return ", ".join(parts)


def _first_change(facts: RunFacts | None) -> str:
    if facts is None or not facts.measured:
        return ""
    first = facts.measured[0].changes[0]
    return f"{first.metric} {first.difference.value:+.3f}"


def _change_row(name: str, topic: str, change: Change) -> dict[str, Any]:
    return {
        "set": name,
        "topic": topic,
        "metric": change.metric,
        "before": show_estimate(change.before),
        "after": show_estimate(change.after),
        "difference": show_estimate(change.difference),
        "p": "" if change.p is None else f"{change.p:.4f}",
    }


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
