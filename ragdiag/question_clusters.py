"""Which questions belong together: ten about one document are not ten independent ones."""

from __future__ import annotations

from collections.abc import Mapping

from ragdiag.metrics.answers import normalise_answer
from ragdiag.metrics.ranking import best_judged
from ragdiag.store.corpus import load_passages_by_id
from ragdiag.store.lake import Lake
from ragdiag.store.logged_passages import load_logged_passages


def load_clusters(
    lake: Lake, questions: Mapping[str, str], judgments: Mapping[str, Mapping[str, int]]
) -> dict[str, str]:
    """Question → what it shares with others: the document of its first gold passage; where it has
    none, or none that is known, its own words."""
    gold = {name: next(iter(best_judged(judgments.get(name, {}))), "") for name in questions}
    wanted = set(gold.values())
    passages = {**load_logged_passages(lake, wanted), **load_passages_by_id(lake, wanted)}
    return {
        name: f"document {passages[gold[name]].document_id}"
        if gold[name] in passages
        else f"words {normalise_answer(text)}"
        for name, text in questions.items()
    }
