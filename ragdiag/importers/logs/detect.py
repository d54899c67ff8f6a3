"""Which format a log is in, by the names that its first row has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ragdiag.importers.logs.columns import make_plan
from ragdiag.importers.logs.formats import Family
from ragdiag.importers.logs.mapping import Mapping as LogMapping

OBSERVATION_TYPES = {
    *("SPAN", "GENERATION", "EVENT", "AGENT", "TOOL"),
    *("CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"),
}


def detect(values: Mapping[str, Any], mapping: LogMapping) -> Family:
    """The family of a row. A table with gold and without times is an evaluation's."""
    keys = values.keys()
    checks: tuple[tuple[Family, Callable[[Mapping[str, Any]], bool]], ...] = (
        ("otlp", _is_otlp),
        ("phoenix", is_phoenix),
        ("langfuse", is_langfuse),
    )
    for family, fits in checks:
        if fits(values):
            return family
    if _has(keys, "kind", "schema"):
        return "rows"
    if is_inspector(values):
        return "evaluation"
    inner: Mapping[str, Any] = next(
        (values[e] for e in mapping.rows.each if isinstance(values.get(e), dict)), {}
    )
    fields = make_plan((*values, *inner), mapping).fields.keys() | mapping.constants.keys()
    golden = "gold_answer" in fields or "gold_contexts" in fields
    return "evaluation" if golden and "time" not in fields else "rows"


def is_inspector(values: Mapping[str, Any]) -> bool:
    """Whether it is a document of InspectorRAGet."""
    return _has(values.keys(), "models", "tasks", "results")


def is_phoenix(values: Mapping[str, Any]) -> bool:
    """A span of Phoenix's dataframe or API, or an annotation."""
    keys = values.keys()
    context = values.get("context")
    return (
        _has(keys, "context.span_id")
        or (isinstance(context, Mapping) and "span_id" in context and "span_kind" in keys)
        or is_annotation(values)
    )


def is_annotation(values: Mapping[str, Any]) -> bool:
    keys = values.keys()
    named = "annotation_name" in keys or "name" in keys
    return named and _has(keys, "annotator_kind") and not _has(keys, "span_kind")


def is_langfuse(values: Mapping[str, Any]) -> bool:
    """An observation, a trace or a score of Langfuse's exports and API."""
    keys = values.keys()
    observation = str(values.get("type")).upper() in OBSERVATION_TYPES
    if observation and ("trace_id" in keys or "traceId" in keys):
        return True
    return is_score(values) or is_trace(values)


def is_score(values: Mapping[str, Any]) -> bool:
    keys = values.keys()
    linked = "trace_id" in keys or "traceId" in keys
    typed = "data_type" in keys or "dataType" in keys
    return linked and typed and _has(keys, "name", "value", "source")


def is_trace(values: Mapping[str, Any]) -> bool:
    keys = values.keys()
    project = "project_id" in keys or "projectId" in keys
    session = "session_id" in keys or "sessionId" in keys
    return project and session and _has(keys, "id", "timestamp", "name")


def _is_otlp(values: Mapping[str, Any]) -> bool:
    keys = values.keys()
    if keys & {"resourceSpans", "resource_spans", "scopeSpans", "scope_spans"}:
        return True
    return _has(keys, "traceId", "spanId") and "startTimeUnixNano" in keys


def _has(keys: Collection[str], *names: str) -> bool:
    return all(name in keys for name in names)
