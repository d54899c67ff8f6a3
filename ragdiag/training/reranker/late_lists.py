"""What late interaction learns from: questions with the first stage's lists for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ragdiag.training.reranker.dev import RerankQuestion


@dataclass(frozen=True, slots=True)
class FusedList:
    """The first stage's list for a question: its candidates, and their fused scores as shares of
    the list's span, in [0, 1]. ``weight`` is how much its loss counts."""

    asked: RerankQuestion
    shares: tuple[float, ...]
    weight: float = 1.0

    @property
    def relevant(self) -> list[int]:
        """Places of the relevant candidates."""
        grades = self.asked.grades
        return [at for at, name in enumerate(self.asked.candidates) if grades.get(name, 0) > 0]

    def only(self, places: Sequence[int]) -> FusedList:
        """Of all candidates those at ``places``, in that order."""
        names = tuple(self.asked.candidates[at] for at in places)
        asked = replace(self.asked, candidates=names)
        return replace(self, asked=asked, shares=tuple(self.shares[at] for at in places))


def lists_hash(lists: Sequence[FusedList], texts: Mapping[str, str]) -> str:
    """SHA-256 over questions, candidates and their texts, shares, relevance and weights."""
    digest = hashlib.sha256()
    for one in lists:
        own = [one.asked.question_id, one.asked.question, one.asked.candidates]
        digest.update(json.dumps([*own, one.shares, one.relevant, one.weight]).encode())
    for name in sorted({name for one in lists for name in one.asked.candidates}):
        digest.update(json.dumps([name, texts[name]]).encode())
    return digest.hexdigest()
