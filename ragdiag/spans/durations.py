"""How long each stage took: the time covered by its spans, not counting other stages within."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from ragdiag.spans.tree import Node

Interval = tuple[datetime, datetime]


def stage_durations(stages: Iterable[tuple[str, Node]]) -> dict[str, float]:
    """Milliseconds by stage, from each measured span with the name of its stage.

    Spans of one stage that overlap count once. A span that holds one of another stage does not
    count while that one runs: a retriever's own embedding is ``embed``.
    """
    measured = list(stages)
    named: Mapping[str, str] = {node.span.span_id: stage for stage, node in measured}
    inner: dict[str, list[Interval]] = {}
    for stage, node in measured:
        for above in node.ancestors:
            if named.get(above.span.span_id, stage) != stage:
                inner.setdefault(above.span.span_id, []).append(_interval(node))
    own: dict[str, list[Interval]] = {}
    for stage, node in measured:
        own.setdefault(stage, []).extend(
            _without(_interval(node), inner.get(node.span.span_id, []))
        )
    return {stage: covered_ms(intervals) for stage, intervals in own.items()}


def covered_ms(intervals: Iterable[Interval]) -> float:
    """The length of the union of intervals."""
    return sum((end - start).total_seconds() for start, end in _union(intervals)) * 1_000


def _interval(node: Node) -> Interval:
    return node.span.started_at, node.span.ended_at


def _union(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _without(whole: Interval, holes: Iterable[Interval]) -> list[Interval]:
    start, stop = whole
    kept = []
    for left, right in _union(holes):
        if left > start:
            kept.append((start, min(left, stop)))
        start = max(start, right)
        if start >= stop:
            return kept
    return [*kept, (start, stop)]
