"""InspectorRAGet's documents (IBM, github.com/IBM/InspectorRAGet) as evaluation rows.

A document has ``models``, ``documents``, ``tasks`` (input, contexts, targets) and ``results`` (one
model's output on one task, with scores by metric and annotator). A result becomes a row: question,
answer, contexts, gold answer, system; ``scores`` holds each metric's mean over its annotators where
they are numbers, so that a mapping can say ``label = "scores.faithfulness"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ragdiag.importers.logs.reading import Row
from ragdiag.importers.report import Origin


def inspector_rows(document: Mapping[str, Any], source: str) -> Iterator[Row]:
    """A row for each result, numbered from 1; one that names no known task is a fault."""
    tasks = {task.get("task_id"): task for task in _objects(document.get("tasks"))}
    documents = {one.get("document_id"): one for one in _objects(document.get("documents"))}
    models = {one.get("model_id"): one.get("name") for one in _objects(document.get("models"))}
    for number, result in enumerate(_objects(document.get("results")), start=1):
        origin = Origin(source, number, str(result)[:500])
        task = tasks.get(result.get("task_id"))
        if task is None:
            named = ascii(result.get("task_id"))[:60]
            yield Row(origin, fault=f"the result names the task {named}, which is not there")
            continue
        contexts = [
            {**documents.get(one.get("document_id"), {}), **one}
            for one in _objects(task.get("contexts"))
        ]
        model = result.get("model_id")
        yield Row(
            origin,
            {
                "question_id": task.get("task_id"),
                "question": _last(task.get("input"), "text", "content"),
                "answer": _last(result.get("output"), "content", "text")
                or result.get("model_response"),
                "contexts": contexts,
                "gold_answer": _targets(task.get("targets")),
                "topic": task.get("answerability") or task.get("dataset"),
                "version": models.get(model) or model,
                "scores": _means(result.get("scores")),
            },
        )


def _means(scores: Any) -> dict[str, float]:
    means = {}
    for metric, by_annotator in scores.items() if isinstance(scores, Mapping) else ():
        values = []
        for one in by_annotator.values() if isinstance(by_annotator, Mapping) else ():
            try:
                values.append(float(one["value"]))
            except (KeyError, TypeError, ValueError):
                break
        else:
            if values:
                means[metric] = sum(values) / len(values)
    return means


def _targets(targets: Any) -> list[str]:
    if isinstance(targets, list):
        values = [one.get("value") if isinstance(one, Mapping) else one for one in targets]
        return [value for value in values if isinstance(value, str)]
    return []


def _last(turns: Any, *keys: str) -> Any:
    """What the last turn of a conversation says; text as it is."""
    if not isinstance(turns, list):
        return turns
    for turn in reversed(turns):
        for key in keys:
            if isinstance(turn, Mapping) and isinstance(turn.get(key), str):
                return turn[key]
    return None


def _objects(items: Any) -> list[Mapping[str, Any]]:
    return [one for one in items if isinstance(one, Mapping)] if isinstance(items, list) else []
