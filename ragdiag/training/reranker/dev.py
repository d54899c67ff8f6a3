"""What a reranker in training is measured on: candidate lists of questions it does not learn."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ragdiag.errors import TrainingError
from ragdiag.metrics.ranking import ndcg_at_k, reciprocal_rank

DevMetric = Literal["MRR@10", "nDCG@10"]
CUT = 10


@dataclass(frozen=True, slots=True)
class RerankQuestion:
    """``candidates`` are passage ids in the order of the first stage, ``grades`` the judged ones
    (above 0: relevant), whether they are candidates or not."""

    question_id: str
    question: str
    candidates: tuple[str, ...]
    grades: Mapping[str, int]


@dataclass(frozen=True)
class RerankDev:
    """Questions with something relevant, and the text of every candidate."""

    questions: Sequence[RerankQuestion]
    texts: Mapping[str, str]

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over questions, candidates, grades and texts."""
        digest = hashlib.sha256()
        for one in self.questions:
            own = [one.question_id, one.question, one.candidates, sorted(one.grades.items())]
            own.append([self.texts[name] for name in one.candidates])
            digest.update(json.dumps(own).encode())
        return digest.hexdigest()

    def refuse_unusable(self) -> None:
        """Raises TrainingError where a candidate has no text, or where no order of the candidates
        would be better than another."""
        for one in self.questions:
            for name in one.candidates:
                if name not in self.texts:
                    raise TrainingError(
                        f"candidate {name!r} of dev question {one.question_id!r} has no text",
                        remedy="give the text of every candidate",
                    )
        hopeful = sum(
            any(one.grades.get(name, 0) > 0 for name in one.candidates) for one in self.questions
        )
        if not hopeful:
            raise TrainingError(
                f"none of {len(self.questions)} dev questions has a relevant candidate",
                remedy="retrieve deeper, or judge more questions",
            )

    def first_stage(self) -> dict[DevMetric, float]:
        """The means of the lists as they come."""
        return self.scores([[0.0] * len(one.candidates) for one in self.questions])

    def scores(self, logits: Sequence[Sequence[float]]) -> dict[DevMetric, float]:
        """Mean of each metric with every question's candidates ordered by their logits; ties stay
        in the order of the first stage. Questions without anything relevant are left out."""
        mrr, ndcg = [], []
        for one, own in zip(self.questions, logits, strict=True):
            gold = [grade for grade in one.grades.values() if grade > 0]
            if not gold:
                continue
            order = sorted(range(len(own)), key=lambda at: (-own[at], at))
            grades = [one.grades.get(one.candidates[at], 0) for at in order]
            mrr.append(reciprocal_rank(grades, CUT))
            ndcg.append(ndcg_at_k(grades, gold, CUT))
        return {"MRR@10": math.fsum(mrr) / len(mrr), "nDCG@10": math.fsum(ndcg) / len(ndcg)}
