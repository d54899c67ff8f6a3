"""The spans of one trace as a tree, top first; what it holds besides the request is set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragdiag.records import Span
from ragdiag.spans.conventions import (
    GENAI_DOCUMENTS,
    INPUT_VALUES,
    KINDS,
    OUTPUT_VALUES,
    RESULT_EVENTS,
    RETRIEVED_DOCUMENTS,
    SpanKind,
)

MAX_LEVELS = 500
"""More than any service nests, and few enough that a hostile chain of spans costs nothing."""


@dataclass(frozen=True, slots=True)
class Node:
    """A span, what it does, and how deep it lies (a root: 0)."""

    span: Span
    kind: SpanKind
    depth: int
    parent: Node | None

    @property
    def ancestors(self) -> Iterator[Node]:
        above = self.parent
        while above is not None:
            yield above
            above = above.parent


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes level by level, earliest first. ``roots`` are the spans without a parent, earliest
    first, and evaluators only where nothing else is; ``below`` has the kinds of what lies under a
    span."""

    nodes: Sequence[Node]
    roots: Sequence[Span]
    below: Mapping[str, set[SpanKind]]

    def of_kind(self, *kinds: SpanKind) -> list[Node]:
        return [node for node in self.nodes if node.kind in kinds]

    def holds(self, node: Node, kind: SpanKind) -> bool:
        """Whether a node of ``kind`` lies below ``node``."""
        return kind in self.below.get(node.span.span_id, ())


def keep_one_each(spans: Iterable[Span]) -> list[Span]:
    """The spans of one trace, each once: exports overlap, and a counted copy would double tokens
    and cost. Of copies that differ the one that ended last stays, since a span that was exported
    while it ran ends where it stood; of equal ends the last read. Spans without an id stay all:
    nothing tells that they are one.
    """
    kept: dict[str | int, Span] = {}
    for place, span in enumerate(spans):
        name = span.span_id or place
        if name not in kept or span.ended_at >= kept[name].ended_at:
            kept[name] = span
    return list(kept.values())


def grow_tree(spans: Sequence[Span]) -> Tree:
    """The tree of a trace without the evaluators and all below them: a judge's retrievals and
    model calls are not the request's. A span whose parent did not come stands at the top. Left out
    are spans that are each other's ancestors, and those more than MAX_LEVELS deep."""
    ordered = sorted(spans, key=lambda span: (span.started_at, span.span_id))
    known = {span.span_id for span in ordered}
    children: dict[str | None, list[Span]] = {}
    for span in ordered:
        parent = span.parent_id if span.parent_id in known else None
        children.setdefault(parent, []).append(span)
    level = [Node(span, kind_of_span(span), 0, None) for span in children.get(None, ())]
    nodes: list[Node] = []
    while level and level[0].depth < MAX_LEVELS:
        level = [node for node in level if node.kind != "evaluator"]
        nodes += level
        level = [
            Node(span, kind_of_span(span), node.depth + 1, node)
            for node in level
            for span in children.get(node.span.span_id, ())
        ]
    below: dict[str, set[SpanKind]] = {}
    for node in reversed(nodes):
        if node.parent is not None:
            held = below.get(node.span.span_id, set())
            below.setdefault(node.parent.span.span_id, set()).update(held, [node.kind])
    roots = [span for span in ordered if span.parent_id is None]
    own = [span for span in roots if kind_of_span(span) != "evaluator"]
    working = [span for span in own if span.span_id in children or _works(span)]
    return Tree(nodes, working or own or roots, below)


def _works(span: Span) -> bool:
    """Whether it does a part of the request: a line of a log, an event or an opinion that came
    hours later as a span without a parent does not."""
    names = (*INPUT_VALUES, *OUTPUT_VALUES)
    return kind_of_span(span) != "other" or any(name in span.attributes for name in names)


def kind_of_span(span: Span) -> SpanKind:
    """What the span says it does; a span that holds retrieved documents is a retriever."""
    for attribute, kinds in KINDS.items():
        value = span.attributes.get(attribute)
        if isinstance(value, str) and (kind := _named(kinds, value)):
            return kind
    if any(event.name in RESULT_EVENTS for event in span.events):
        return "retriever"
    held = (RETRIEVED_DOCUMENTS, GENAI_DOCUMENTS)
    return "retriever" if any(key.startswith(held) for key in span.attributes) else "other"


def _named(kinds: Mapping[str, SpanKind], value: str) -> SpanKind | None:
    return kinds.get(value) or kinds.get(value.upper()) or kinds.get(value.lower())
