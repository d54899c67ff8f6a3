"""What a trace states about its request beside texts and lists: properties, tokens, cost, times."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.records import LARGEST_COST, Span
from ragdiag.spans.conventions import (
    MODELS,
    OWN,
    PART_COSTS,
    SERVICE_NAME,
    SERVICE_VERSION,
    TOTAL_COST,
    UNNAMED_SERVICE,
    VERSIONS,
)
from ragdiag.spans.durations import covered_ms, stage_durations
from ragdiag.spans.nesting import parse_json
from ragdiag.spans.stages import Stages
from ragdiag.spans.tree import Tree
from ragdiag.user_ids import (
    ASSOCIATIONS,
    INVOCATION,
    METADATA,
    STANDARD_USER_IDS,
    USER_ID,
    plain_user,
    users_named,
)

CITATIONS = f"{OWN}citations"
_STATING = (METADATA, ASSOCIATIONS)
LARGEST_COUNT = 2**31 - 1
MAX_NAMED = 500
"""Characters of an id or a name that a trace states."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What the spans of a trace state by name; of several the topmost counts.

    ``own`` are the ``ragdiag.*`` attributes of spans, else of resources; ``stated`` what metadata
    and OpenLLMetry's association properties say. ``citations`` is the list under
    ``ragdiag.citations``.
    """

    own: Mapping[str, str]
    stated: Mapping[str, str]
    user: str
    version: str
    citations: tuple[str, ...]

    def named(self, name: str) -> str:
        """A property by its bare name; empty where nobody states it."""
        return (self.own.get(name) or self.stated.get(name) or "")[:MAX_NAMED]


def read_properties(spans: Sequence[Span]) -> Properties:
    """``spans`` come topmost first."""
    own: dict[str, str] = {}
    stated: dict[str, str] = {}
    user = ""
    citations: tuple[str, ...] = ()
    for span in spans:
        for key, value in span.attributes.items():
            if key.startswith(OWN):
                own.setdefault(key.removeprefix(OWN), _text(value))
                if key == CITATIONS and not citations:
                    citations = _texts(value)
            elif key.startswith(_STATING):
                _note(stated, key, value)
            elif not user and key in STANDARD_USER_IDS:
                user = plain_user(value)
    resources = {id(span.resource): span.resource for span in spans}.values()
    for resource in resources:
        for key, value in resource.items():
            if key.startswith(OWN):
                own.setdefault(key.removeprefix(OWN), _text(value))
    user = user or own.get(USER_ID, "") or stated.get(USER_ID, "") or _named_anywhere(spans)
    return Properties(own, stated, user, _version(own, resources), citations)


def _named_anywhere(spans: Iterable[Span]) -> str:
    """The first user whom a span names in any way."""
    return next((user for span in spans for user in users_named(span.attributes)), "")


def _note(stated: dict[str, str], key: str, value: Any) -> None:
    """Keep what ``metadata`` (JSON, or flattened) or an association property says."""
    if key == METADATA:
        found = parse_json(value)
        for name, inner in found.items() if isinstance(found, Mapping) else ():
            stated.setdefault(str(name), _text(inner))
    else:
        stated.setdefault(key.removeprefix(ASSOCIATIONS).removeprefix(f"{METADATA}."), _text(value))


def _version(own: Mapping[str, str], resources: Iterable[Mapping[str, Any]]) -> str:
    """``ragdiag.version``, else the service's version or its name; empty where it has none."""
    kept = list(resources)
    named = [own.get(name.removeprefix(OWN), "") for name in VERSIONS]
    named += [_text(one.get(SERVICE_VERSION)) for one in kept]
    services = [_text(one.get(SERVICE_NAME)) for one in kept]
    named += [name for name in services if not name.startswith(UNNAMED_SERVICE)]
    return next((text[:MAX_NAMED] for text in named if text), "")


def read_model(tree: Tree) -> str:
    """The model of the call that ended last, as it was asked for where the span says so; empty
    where no call names one."""
    calls = sorted(tree.of_kind("llm"), key=lambda node: node.span.ended_at, reverse=True)
    named = (text for node in calls for text in _models(node.span))
    return next((text[:MAX_NAMED] for text in named if text), "")


def _models(span: Span) -> Iterator[str]:
    asked = parse_json(span.attributes.get(INVOCATION))
    yield _text(asked.get("model")) if isinstance(asked, Mapping) else ""
    for name in MODELS:
        yield _text(span.attributes.get(name))


def _texts(value: Any) -> tuple[str, ...]:
    listed = parse_json(value)
    return tuple(text for one in listed if (text := _text(one))) if isinstance(listed, list) else ()


def read_count(tree: Tree, names: Sequence[str]) -> int | None:
    """Tokens: what a span states for itself and all below it, else the sum over its children."""
    total = _summed(tree, lambda span: next(_numbers(span, names), None))
    return None if total is None else min(int(total), LARGEST_COUNT)


def read_cost(tree: Tree) -> float | None:
    """US dollars, summed as tokens are; prompt and completion where no total is stated. None where
    that is no cost that can be stored: it costs the request nothing else."""

    def cost(span: Span) -> float | None:
        total = next(_numbers(span, TOTAL_COST), None)
        parts = list(_numbers(span, PART_COSTS))
        return total if total is not None else sum(parts) if parts else None

    total = _summed(tree, cost)
    return None if total is None or total > LARGEST_COST else total


def read_latency(tree: Tree, stages: Stages) -> dict[str, float]:
    """Milliseconds by stage, and in total."""
    others = (("embedding", "embed"), ("llm", "generation"))
    measured = [(name, node) for kind, name in others for node in tree.nodes if node.kind == kind]
    whole = tree.roots or [node.span for node in tree.nodes]
    began, ended = min(s.started_at for s in whole), max(s.ended_at for s in whole)
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
    total = sum(counted)
    return total if counted and math.isfinite(total) else None


def _numbers(span: Span, names: Iterable[str]) -> Iterator[float]:
    for name in names:
        value: Any = span.attributes.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and 0 <= value <= sys.float_info.max:
            yield float(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).strip() if isinstance(value, (str, int)) else ""
