"""A comparison of two versions as JSON, as text, and as Markdown for a pull request."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ragdiag.markdown import plain
from ragdiag.records import Estimate
from ragdiag.stats.paired import McNemar, PairedComparison
from ragdiag.workflows.comparing.compare_slices import (
    LEAST_INDEPENDENT,
    LEAST_QUESTIONS,
    SliceChange,
)
from ragdiag.workflows.comparing.pairing import asked_words, missing_words

if TYPE_CHECKING:
    from ragdiag.workflows.comparing.compare import Comparison, MetricComparison

ALPHA = 0.05


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Undefined numbers are null."""
    return {
        "a": found.a.name,
        "b": found.b.name,
        "split": found.split,
        "n": len(found.pairs),
        "split_size": found.size,
        "clusters": found.clusters,
        "metrics": {name: _metric_json(one) for name, one in found.metrics.items()},
        "secondary": {name: _secondary_json(paired) for name, paired in found.secondary.items()},
        "mcnemar": {**asdict(found.mcnemar), "p": _number(found.mcnemar.p)},
        "slices": [
            {
                "kind": one.kind,
                "name": one.name,
                "n": one.n,
                "clusters": one.clusters,
                "metrics": {name: _slice_json(change) for name, change in one.metrics.items()},
            }
            for one in found.slices
        ],
        "family": {"tests": found.family, "what": family_words(found)},
        "snapshot": found.snapshot,
    }


def comparison_text(found: Comparison) -> str:
    lines = [
        f"{found.b.name} against {found.a.name} on "
        f"{asked_words(len(found.pairs), found.size)}, snapshot {found.snapshot}"
    ]
    for name, one in found.metrics.items():
        paired = one.paired
        if math.isnan(paired.difference.value):
            reason = paired.difference.reason or "no test"
            lines.append(f"{name:10} undefined: {reason}, n = {paired.n}")
            continue
        if math.isnan(paired.p):
            lines.append(_untested_line(name, paired))
            continue
        lines.append(
            f"{name:10} {paired.a:.3f} → {paired.b:.3f}  {interval(paired.difference)}"
            f"  p = {paired.p:.4f}, Holm {one.p_holm:.4f}"
            f"  {conclusion(one.p_holm, paired.difference, paired.minimum_detectable)}"
        )
    lines += [
        _untested_line(name, paired)
        for name, paired in found.secondary.items()
        if not math.isnan(paired.difference.value)
    ]
    lines += [mcnemar_words(found), *_told_slices(found), family_words(found)]
    if missing := missing_words(len(found.pairs), found.size, found.split):
        lines.append(missing)
    return "\n".join(lines)


def comparison_markdown(found: Comparison) -> str:
    """The measures as a table, then the slices with a shown difference, then what it rests on."""
    a, b = plain(found.a.name), plain(found.b.name)
    asked = asked_words(len(found.pairs), found.size)
    rows = [
        f"| {name} | {one.paired.a:.3f} | {one.paired.b:.3f} | {interval(one.paired.difference)} "
        f"| {one.paired.n} | {_p(one.p_holm)} | "
        f"{conclusion(one.p_holm, one.paired.difference, one.paired.minimum_detectable)} |"
        for name, one in found.metrics.items()
        if not math.isnan(one.paired.p)
    ]
    alone = {name: one.paired for name, one in found.metrics.items() if math.isnan(one.paired.p)}
    rows += [
        f"| {name} | {paired.a:.3f} | {paired.b:.3f} | {interval(paired.difference)} "
        f"| {paired.n} | – | not tested |"
        for name, paired in (alone | dict(found.secondary)).items()
        if not math.isnan(paired.difference.value)
    ]
    sliced = list(_told_slices(found))
    return "\n".join(
        [
            f"### {b} against {a}",
            "",
            f"Split {plain(found.split)}, {asked} asked of both, "
            f"{found.clusters} independent; workspace snapshot {found.snapshot}. "
            f"{mcnemar_words(found)}",
            "",
            "| measure | A | B | B − A (95 % interval) | n | p (Holm) | |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            *([*(f"- {plain(line)}" for line in sliced), ""] if sliced else []),
            f"{family_words(found)} p: paired t, cluster-robust by source document. "
            "Intervals: Student's t likewise; BCa bootstrap over questions that share no document. "
            "Detectable: the smallest true difference that so many questions show with 80 % power, "
            "tested alone.",
            "",
        ]
    )


def family_words(found: Comparison) -> str:
    """What Holm corrects over, named beside every table that shows such a p."""
    kinds = list(dict.fromkeys(one.kind for one in found.slices))
    tested = sum(one.tested for one in found.slices)
    sliced = f" and {tested} slices by {', '.join(kinds)}" if kinds else ""
    untested = len(found.slices) - tested
    small = (
        f"; {untested} with fewer than {LEAST_QUESTIONS} questions, or {LEAST_INDEPENDENT} "
        "independent ones, not tested"
        if untested
        else ""
    )
    measures = sum(not math.isnan(one.paired.p) for one in found.metrics.values())
    return (
        f"Holm corrects over {found.family} tests: {measures} measures on all questions"
        f"{sliced}{small}."
    )


def mcnemar_words(found: Comparison) -> str:
    """Who wins the questions that only one version answers right; with McNemar's p only where no
    two questions share a document."""
    test = found.mcnemar
    if not test.both + test.only_a + test.only_b + test.neither:
        return "No answer is graded under both versions."
    return (
        f"Right with B only: {test.only_b}, with A only: {test.only_a}, with both: {test.both}, "
        f"with neither: {test.neither} ({_p_of_outcomes(test)})."
    )


def _p_of_outcomes(test: McNemar) -> str:
    if math.isnan(test.p):
        return "all about one document: no test"
    if test.test == "exact McNemar":
        return f"McNemar's exact p = {test.p:.4f}"
    return f"p = {test.p:.4f}: cluster-robust t, since questions share documents"


def conclusion(p_holm: float, difference: Estimate, detectable: float) -> str:
    """Better, worse, or what a "no difference" could still hide.

    >>> conclusion(0.4, Estimate(0.01, -0.02, 0.04, 50), 0.043)
    'no difference shown (detectable: 0.043)'
    >>> conclusion(0.5, Estimate(1.0, math.nan, math.nan, 2), 0.0)
    'no difference shown: too few questions'
    """
    if p_holm < ALPHA and not difference.low <= 0 <= difference.high:
        return "better" if difference.value > 0 else "worse"
    if detectable == 0:
        if difference.value:
            return "no difference shown: too few questions"
        return "no difference: every question came out the same"
    if math.isnan(detectable):
        return "no test"
    return f"no difference shown (detectable: {detectable:.3f})"


def interval(found: Estimate) -> str:
    """``+0.021 (-0.004 to +0.046)``"""
    if math.isnan(found.low):
        return f"{found.value:+z.3f} ({found.reason})"
    return f"{found.value:+z.3f} ({found.low:+z.3f} to {found.high:+z.3f})"


def _untested_line(name: str, paired: PairedComparison) -> str:
    return (
        f"{name:10} {paired.a:.3f} → {paired.b:.3f}  {interval(paired.difference)}"
        f"  n = {paired.n}, not tested"
    )


def _told_slices(found: Comparison) -> Iterator[str]:
    """Only what differs after Holm: the rest is in the JSON and on the page."""
    for one in found.slices:
        for name, change in one.metrics.items():
            said = conclusion(change.p_holm, change.difference, change.minimum_detectable)
            if said in ("better", "worse"):
                yield (
                    f"{one.kind} = {one.name}: {name} {said}, {interval(change.difference)}, "
                    f"n = {change.difference.n}, Holm {change.p_holm:.4f}"
                )


def _metric_json(found: MetricComparison) -> Mapping[str, Any]:
    paired = found.paired
    return {
        "a": _number(paired.a),
        "b": _number(paired.b),
        "difference": paired.difference.to_json(),
        "p": _number(paired.p),
        "p_holm": _number(found.p_holm),
        "p_sign_flip": _number(paired.p_sign_flip),
        "minimum_detectable": _number(paired.minimum_detectable),
        "clusters": paired.clusters,
    }


def _secondary_json(paired: PairedComparison) -> Mapping[str, Any]:
    return {
        "a": _number(paired.a),
        "b": _number(paired.b),
        "difference": paired.difference.to_json(),
        "minimum_detectable": _number(paired.minimum_detectable),
    }


def _slice_json(found: SliceChange) -> Mapping[str, Any]:
    return {
        "a": _number(found.a),
        "b": _number(found.b),
        "difference": found.difference.to_json(),
        "p": _number(found.p),
        "p_holm": _number(found.p_holm),
        "minimum_detectable": _number(found.minimum_detectable),
    }


def _p(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
