"""What a trace states about its request beside texts and lists: properties, tokens, cost, times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ragdiag.records import Span
from ragdiag.spans.conventions import (
    ASSOCIATIONS,
    METADATA,
    OWN,
    PART_COSTS,
    SERVICE_NAME,
    SERVICE_VERSION,
    TOTAL_COST,
    UNVERSIONED,
    USER_IDS,
    VERSIONS,
)
from ragdiag.spans.durations import covered_ms, stage_durations
from ragdiag.spans.nesting import parse_json
from ragdiag.spans.stages import Stages
from ragdiag.spans.tree import Tree

LARGEST_COUNT = 2**31 - 1
MAX_NAMED = 500
"""Characters of an id or a name that a trace states."""


def own_attribute(spans: Iterable[Span], name: str) -> str:
    """``ragdiag.<name>`` of the topmost span that has it, else of a resource; empty where none."""
    key = f"{OWN}{name}"
    kept = list(spans)
    for attributes in (*(s.attributes for s in kept), *(s.resource for s in kept)):
        if text := _text(attributes.get(key)):
            return text
    return ""


def stated_property(spans: Sequence[Span], name: str) -> str:
    """As :func:`own_attribute`, else what the spans' metadata or OpenLLMetry's association
    properties call ``name``."""
    if own := own_attribute(spans, name):
        return own[:MAX_NAMED]
    for span in spans:
        metadata = parse_json(span.attributes.get(METADATA))
        stated = metadata.get(name) if isinstance(metadata, Mapping) else None
        nested = span.attributes.get(f"{METADATA}.{name}")
        linked = span.attributes.get(f"{ASSOCIATIONS}{name}")
        for value in (stated, nested, linked):
            if text := _text(value):
                return text[:MAX_NAMED]
    return ""


def read_user(spans: Sequence[Span]) -> str:
    """The user's own id; empty where none is stated."""
    for span in spans:
        for name in USER_IDS:
            if text := _text(span.attributes.get(name)):
                return text
    return stated_property(spans, "user_id")


def read_version(spans: Sequence[Span]) -> str:
    """``ragdiag.version``, else the service's version, its name, or ``unversioned``."""
    for name in VERSIONS:
        if own := own_attribute(spans, name.removeprefix(OWN)):
            return own[:MAX_NAMED]
    for name in (SERVICE_VERSION, SERVICE_NAME):
        for span in spans:
            if text := _text(span.resource.get(name)):
                return text[:MAX_NAMED]
    return UNVERSIONED


def read_citations(spans: Iterable[Span]) -> tuple[str, ...]:
    """``ragdiag.citations``: passage ids."""
    for span in spans:
        listed = parse_json(span.attributes.get(f"{OWN}citations"))
        if isinstance(listed, list):
            return tuple(text for one in listed if (text := _text(one)))
    return ()


def read_count(tree: Tree, names: Sequence[str]) -> int | None:
    """Tokens: what a span states for itself and all below it, else the sum over its children."""
    total = _summed(tree, lambda span: next(_numbers(span, names), None))
    return None if total is None else min(int(total), LARGEST_COUNT)


def read_cost(tree: Tree) -> float | None:
    """US dollars, summed as tokens are; prompt and completion where no total is stated."""

    def cost(span: Span) -> float | None:
        total = next(_numbers(span, TOTAL_COST), None)
        parts = list(_numbers(span, PART_COSTS))
        return total if total is not None else sum(parts) if parts else None

    return _summed(tree, cost)


def read_latency(tree: Tree, stages: Stages) -> dict[str, float]:
    """Milliseconds by stage, and in total."""
    others = (("embedding", "embed"), ("llm", "generation"))
    measured = [(name, node) for kind, name in others for node in tree.nodes if node.kind == kind]
    spans = [node.span for node in tree.nodes]
    whole = [(s.started_at, s.ended_at) for s in ([tree.root] if tree.root else spans)]
    began, ended = min(start for start, _ in whole), max(end for _, end in whole)
    return {
        **stage_durations([*measured, *stages.measured]),
        "total": covered_ms([(began, ended)]),
    }


def _summed(tree: Tree, stated: Callable[[Span], float | None]) -> float | None:
    """The figures that no span above states for all below it."""
    covered: set[str] = set()
    counted = []
    for node in tree.nodes:
        if node.parent is not None and node.parent.span.span_id in covered:
            covered.add(node.span.span_id)
        elif (figure := stated(node.span)) is not None:
            covered.add(node.span.span_id)
            counted.append(figure)
    return sum(counted) if counted else None


def _numbers(span: Span, names: Iterable[str]) -> Iterator[float]:
    for name in names:
        value: Any = span.attributes.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and math.isfinite(value) and value >= 0:
            yield float(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).strip() if isinstance(value, (str, int)) else ""
