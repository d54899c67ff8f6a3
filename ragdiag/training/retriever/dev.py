"""How good a bi-encoder is while it is trained: nDCG@10 of exact search over part of the corpus."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ragdiag.errors import TrainingError
from ragdiag.metrics.ranking import ndcg_at_k
from ragdiag.retrieval.lexical import build_lexical
from ragdiag.version import LexicalSpec

if TYPE_CHECKING:
    from torch import Tensor

K = 10


@dataclass(frozen=True)
class DevSet:
    """Questions that nothing is learnt from: id → text, id → {passage id: grade}, and the texts of
    the corpus they are asked of (passage id → text)."""

    questions: Mapping[str, str]
    judgments: Mapping[str, Mapping[str, int]]
    texts: Mapping[str, str]

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over questions, judgments and texts."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def asked(self) -> list[str]:
        """Ids of the questions that a passage of the corpus answers. Raises TrainingError where
        there is none."""
        found = [name for name in self.questions if self._gold(name)]
        if not found:
            raise TrainingError(
                "no dev question has a relevant passage in the corpus",
                remedy="keep some judged questions for the dev split",
            )
        return found

    def passages(self, most: int, seed: int) -> list[str]:
        """Ids of what is searched: every gold passage and, up to ``most``, what BM25 finds for the
        questions, and as much again drawn by chance."""
        gold = list(dict.fromkeys(one for name in self.asked() for one in self._gold(name)))
        others = [name for name in self.texts if name not in set(gold)]
        room = max(0, most - len(gold))
        if len(others) > room:
            hard = self._distractors(others, room // 2)
            taken = {*hard}
            rest = [name for name in others if name not in taken]
            drawn = np.random.default_rng(seed).permutation(len(rest))[: room - len(hard)]
            others = hard + [rest[at] for at in drawn]
        return gold + others

    def ndcg(self, passages: list[str], questions: Tensor, vectors: Tensor) -> float:
        """Mean nDCG@10 of :meth:`asked`, whose unit vectors are ``questions`` (n, d), over
        ``passages``, whose unit vectors are ``vectors`` (m, d). Equal scores are in descending
        order of the passages' ids (METHODS.md §9).

        Raises TrainingError where a score is not a number: no order would be one.
        """
        similar = questions @ vectors.T
        if not bool(similar.isfinite().all()):
            raise TrainingError(
                "the model gives vectors that are not numbers",
                remedy="lower the learning rate, or begin from another base",
            )
        least = similar.topk(min(K, len(passages)), dim=1).values[:, -1:]
        scores = []
        for name, row, reached in zip(self.asked(), similar, similar >= least, strict=True):
            judged = self.judgments[name]
            found = zip(row[reached].tolist(), reached.nonzero()[:, 0].tolist(), strict=True)
            ranked = sorted(((score, passages[at]) for score, at in found), reverse=True)
            grades = [judged.get(passage, 0) for _, passage in ranked[:K]]
            scores.append(ndcg_at_k(grades, list(judged.values()), K))
        return math.fsum(scores) / len(scores)

    def _gold(self, question_id: str) -> list[str]:
        judged = self.judgments.get(question_id, {})
        return [name for name, grade in judged.items() if grade > 0 and name in self.texts]

    def _distractors(self, among: list[str], most: int) -> list[str]:
        """The first hits of every question, then the second ones …"""
        index = build_lexical([self.texts[name] for name in among], LexicalSpec())
        depth = min(len(among), math.ceil(most / len(self.asked())) + K)
        ranked = []
        for name in self.asked():
            scores = index.scores(self.questions[name])
            order = np.argsort(-scores, kind="stable")[:depth]
            ranked.append([among[at] for at in order if scores[at] > 0])
        by_rank = (hits[rank] for rank in range(depth) for hits in ranked if rank < len(hits))
        return list(dict.fromkeys(by_rank))[:most]
