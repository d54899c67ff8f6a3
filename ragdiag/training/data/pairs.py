"""Pairs from labels: judged questions, and logged requests whose gold passage retrieval lost."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Cause, Diagnosis, Question, Request
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.mined import Mined
from ragdiag.training.data.similarity import normalised

Judgments = Mapping[str, Mapping[str, int]]
"""Question id → passage id → grade."""

LOST_BY_RETRIEVAL: tuple[Cause, ...] = ("recall_miss", "fusion_loss", "rerank_loss")
NOT_STORED = "the question's text is not stored"


def pairs_from_judgments(questions: Iterable[Question], judgments: Judgments) -> Mined:
    """A pair for every relevant passage of every question, weighed by its grade.

    The highest grade of all weighs 1, a lower one its share of that: what is related teaches, but
    less than what answers. Skipped: questions without a relevant passage.

    >>> found = pairs_from_judgments([Question("q", "Why?")], {"q": {"a": 2, "b": 1, "c": 0}})
    >>> [(pair.passage_id, pair.weight) for pair in found.pairs]
    [('a', 1.0), ('b', 0.5)]
    """
    highest = _highest(judgments)
    pairs, skipped = [], defaultdict(list)
    for question in questions:
        judged = judgments.get(question.question_id, {})
        relevant = {name: grade for name, grade in judged.items() if grade > 0}
        if is_hidden(question.text):
            skipped[NOT_STORED].append(question.question_id)
        elif not relevant:
            skipped["no relevant passage"].append(question.question_id)
        else:
            pairs += [
                Pair(question.question_id, question.text, name, weight=grade / highest)
                for name, grade in sorted(relevant.items())
            ]
    return Mined(tuple(pairs), skipped=dict(skipped))


def pairs_from_failures(
    requests: Iterable[Request], diagnoses: Mapping[str, Diagnosis], judgments: Judgments
) -> Mined:
    """Pairs of the requests that failed because retrieval lost their gold passage (METHODS.md §3
    and §4), weighed as :func:`pairs_from_judgments` does. Skipped: those whose gold is unknown."""
    highest = _highest(judgments)
    pairs, skipped = [], defaultdict(list)
    for request in requests:
        diagnosis = diagnoses.get(request.request_id)
        if diagnosis is None or not is_retrieval_failure(diagnosis):
            continue
        judged = judgments.get(request.question_id or "", {})
        relevant = {name: grade for name, grade in judged.items() if grade > 0}
        if is_hidden(request.question):
            skipped[NOT_STORED].append(request.request_id)
        elif not relevant:
            skipped["failed, and its gold passage is unknown"].append(request.request_id)
        else:
            name = question_name(request)
            pairs += [
                Pair(
                    question_id=name,
                    question=request.question,
                    passage_id=passage_id,
                    source="failure",
                    weight=grade / highest,
                    request_ids=(request.request_id,),
                )
                for passage_id, grade in sorted(relevant.items())
            ]
    return Mined(tuple(pairs), skipped=dict(skipped))


def is_retrieval_failure(diagnosis: Diagnosis) -> bool:
    """Whether a better retriever or reranker would have kept the gold passage."""
    failed = diagnosis.verdict not in ("ok", "lucky")
    return diagnosis.verdict == "retrieval" or (failed and diagnosis.cause in LOST_BY_RETRIEVAL)


def question_name(request: Request) -> str:
    """What a logged question is called: its id, else by its words, so that it is one question
    whoever asks it, and no request's id stays when its user is forgotten."""
    if request.question_id:
        return request.question_id
    words = normalised(request.question).encode()
    return f"asked:{hashlib.sha256(words).hexdigest()[:16]}"


def failed_above_gold(
    requests: Sequence[Request], diagnoses: Mapping[str, Diagnosis], judgments: Judgments
) -> dict[str, tuple[str, ...]]:
    """Question id → passages that failed requests ranked above its first gold passage, or all that
    were ranked where there was none, in the order of their best rank."""
    ranks: dict[str, dict[str, int]] = defaultdict(dict)
    for request in requests:
        diagnosis = diagnoses.get(request.request_id)
        if diagnosis is None or not is_retrieval_failure(diagnosis):
            continue
        judged = judgments.get(request.question_id or "", {})
        best = ranks[question_name(request)]
        for rank, hit in enumerate(request.ranking, start=1):
            if judged.get(hit.passage_id, 0) > 0:
                break
            best[hit.passage_id] = min(rank, best.get(hit.passage_id, rank))
    return {
        name: tuple(sorted(best, key=lambda one: (best[one], one))) for name, best in ranks.items()
    }


def _highest(judgments: Judgments) -> int:
    return max((grade for judged in judgments.values() for grade in judged.values()), default=1)
