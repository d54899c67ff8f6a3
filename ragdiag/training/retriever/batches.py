"""A batch laid out: each question and passage in it once, and who may be held against whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragdiag.training.data.examples import Pair, TrainingSet


@dataclass(frozen=True)
class Batch:
    """Of b pairs: m different ``questions`` and n different ``passages``, as numbers of texts.

    ``rows`` (b,) is each pair's question. ``candidates`` (b, 1 + h) are columns of its positive and
    its negatives, −1 where it has fewer than h, and ``teacher`` (b, 1 + h) the logits of these, or
    nothing. ``known`` are the other passages that answer its question, as (row, column) of (b, n).
    """

    questions: list[int]
    passages: Sequence[int]
    rows: list[int]
    candidates: list[list[int]]
    teacher: list[list[float]]
    known: list[tuple[int, int]]
    weights: list[float]


class Layout:
    """Numbers the texts of a training set. Passages of one text are one, and so are questions:
    under two ids they would be each other's negatives."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        data: TrainingSet,
        negatives: int,
        everywhere: Iterable[str] = (),
    ) -> None:
        """At most ``negatives`` of each pair are used, the hardest first. Where there are texts
        ``everywhere``, every batch has them and those of all pairs as its passages."""
        self._pairs = pairs
        self._question: dict[str, int] = {}
        self._text: dict[str, int] = {}
        self._passage: dict[str, int] = {}
        answers: dict[int, set[int]] = {}
        for pair in pairs:
            question = self._question.setdefault(pair.question, len(self._question))
            known = answers.setdefault(question, set())
            for passage_id in (*data.positives[pair.question_id], *pair.negatives):
                number = self._text.setdefault(data.texts[passage_id], len(self._text))
                self._passage[passage_id] = number
            known.update(self._passage[name] for name in data.positives[pair.question_id])
        others = list(everywhere)
        for text in others:
            self._text.setdefault(text, len(self._text))
        self._everywhere = range(len(self._text) if others else 0)
        self._answers: Mapping[int, frozenset[int]] = {
            question: frozenset(known) for question, known in answers.items()
        }
        self._chosen = [self._choose(pair, negatives) for pair in pairs]

    @property
    def questions(self) -> list[str]:
        return list(self._question)

    @property
    def passages(self) -> list[str]:
        return list(self._text)

    def without_negatives(self) -> int:
        """How many pairs have no negative that may be used."""
        return sum(not chosen for chosen in self._chosen)

    def batch(self, chosen: Sequence[int]) -> Batch:
        pairs = [self._pairs[at] for at in chosen]
        widest = 1 + max((len(self._chosen[at]) for at in chosen), default=0)
        column: dict[int, int] = {number: number for number in self._everywhere}
        row: dict[int, int] = {}
        rows, candidates, teacher = [], [], []
        for at, pair in zip(chosen, pairs, strict=True):
            rows.append(row.setdefault(self._question[pair.question], len(row)))
            own = [0, *self._chosen[at]]  # 0 is the positive, 1 … its negatives
            names = (pair.passage_id, *pair.negatives)
            columns = [column.setdefault(self._passage[names[n]], len(column)) for n in own]
            candidates.append(columns + [-1] * (widest - len(own)))
            if pair.teacher:
                teacher.append([pair.teacher[n] for n in own] + [0.0] * (widest - len(own)))
        return Batch(
            questions=list(row),
            passages=self._everywhere or list(column),
            rows=rows,
            candidates=candidates,
            teacher=teacher,
            known=[
                (place, column[other])
                for place, pair in enumerate(pairs)
                for other in self._others(pair)
                if other in column
            ],
            weights=[pair.weight for pair in pairs],
        )

    def _choose(self, pair: Pair, most: int) -> list[int]:
        """Places (from 1) of the negatives that are used: never one that answers the question."""
        answers = self._answers[self._question[pair.question]]
        fair = [n for n, i in enumerate(pair.negatives, start=1) if self._passage[i] not in answers]
        return fair[:most]

    def _others(self, pair: Pair) -> Iterable[int]:
        """What answers the question of ``pair`` beside its own passage."""
        return self._answers[self._question[pair.question]] - {self._passage[pair.passage_id]}
