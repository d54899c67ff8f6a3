"""Judged questions put to a loaded index build: do they still find their gold passages?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ragdiag.deploy.sampling import Asked
from ragdiag.deploy.soundness import Measured, Target
from ragdiag.records import Finding, FindingStatus
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.stats.paired import mcnemar

TOP = 10
NOISE = 0.05
"""Below this p, more questions lost than won is no chance."""


def ask_judged(retriever: HybridRetriever, asked: Sequence[Asked]) -> dict[str, int]:
    """Question → 1 where a gold passage is among the first ten of the fused list, else 0."""
    found = {}
    for question, grades in asked:
        gold = {passage for passage, grade in grades.items() if grade > 0}
        hits = retriever.retrieve(question.text).fused[:TOP]
        found[question.question_id] = int(any(hit.passage_id in gold for hit in hits))
    return found


def look_at_questions(
    found: Mapping[str, int],
    before: Mapping[str, int] | None,
    owners: Mapping[str, str],
    target: Target,
) -> Measured:
    """Judged questions that find gold, against those that found it ``before``: worse by more than
    noise is bad, worse by less is a warning. At 5 %, by McNemar's exact test where each question
    has a document of its own, and else by the cluster-robust t (paired.mcnemar): ``owners`` name
    the documents. Where all are about one document there is no test, and up to five documents that
    lose alike are no more than a warning."""
    details: dict[str, Any] = {"k": TOP, "n": len(found), "found": dict(found)}
    if not found:
        what = f"no judged question has its gold passage in {target}, so none was asked"
        remedy = "import judged questions: ragdiag import gold PATH"
        return Finding(what, "warn", remedy, "questions"), details
    what = (
        f"{sum(found.values())} of {len(found)} judged questions find gold among the first {TOP} "
        f"of {target}"
    )
    both = sorted(found.keys() & (before or {}).keys())
    if before is None or not both:
        return Finding(f"{what}; nothing to compare with yet", "good", name="questions"), details
    test = mcnemar([before[q] for q in both], [found[q] for q in both], [owners[q] for q in both])
    lost, won = test.only_a, test.only_b
    p = None if math.isnan(test.p) else test.p
    details |= {"compared": len(both), "lost": lost, "won": won, "p": p, "test": test.test}
    if lost <= won:
        return Finding(f"{what}; {lost} lost, {won} won", "good", name="questions"), details
    told = "all about one document, so not tested" if p is None else f"p = {p:.3f}, {test.test}"
    what += f"; {lost} lost and {won} won since it was compared last ({told})"
    status: FindingStatus = "bad" if test.p < NOISE else "warn"
    remedy = f"run: ragdiag index diagnose {target.version.name}"
    return Finding(what, status, remedy, "questions"), details
