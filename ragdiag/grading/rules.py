"""Graders that are a rule on words or numbers: the same grade every time, at no cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from ragdiag.grading.content_words import content_words, same_words
from ragdiag.grading.contract import Item, Subject, undecidable
from ragdiag.grading.new_words import new_words_f1
from ragdiag.metrics.answers import contains_answer, exact_match, grade_answer, token_f1
from ragdiag.metrics.numbers import numeric_match
from ragdiag.progress import Progress
from ragdiag.records import DEFAULT_GRADER, Grade

Score = Callable[[Item], float]
"""Of an answer with gold answers: 0 … 1; NaN where it is undefined."""


class RuleGrader:
    """Right where the score against the gold answers reaches ``threshold``."""

    about: Subject = "correct"

    def __init__(self, name: str, score: Score, threshold: float) -> None:
        self.name = name
        self._score = score
        self._threshold = threshold

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        return [undecidable(item, self.name, "correct") or self._judge(item) for item in items]

    def _judge(self, item: Item) -> Grade:
        score = self._score(item)
        if math.isnan(score):
            reason = "no gold answer has a number"
            return Grade(item.item_id, self.name, None, None, "undefined", reason)
        right = score >= self._threshold
        reason = f"{score:.2f} {'≥' if right else '<'} {self._threshold:g}"
        return Grade(item.item_id, self.name, int(right), score, reason=reason)


class DefaultGrader:
    """The rule that decides what failed where nobody says otherwise (METHODS.md §2)."""

    name = DEFAULT_GRADER
    about: Subject = "correct"

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        return [grade_answer(i.item_id, i.answer, i.status, i.golds or None) for i in items]


def content_f1(answer: str, golds: Sequence[str]) -> float:
    """The best F1 between the content words (no stop words) of the answer and of a gold answer;
    where neither has any, 1 if all their words are the same, else 0.

    The lexical floor of correctness: on ragchecker's pairs it agrees with people better than many
    a judge (docs/grading.md).

    >>> content_f1("It is the tower of Paris.", ["a Paris tower"]), content_f1("7", ["9"])
    (1.0, 0.0)
    """
    return max((_content_f1(answer, gold) for gold in golds), default=math.nan)


def _content_f1(answer: str, gold: str) -> float:
    said, wanted = Counter(content_words(answer)), Counter(content_words(gold))
    if not (said or wanted):
        return float(same_words(answer, gold))
    return 2.0 * (said & wanted).total() / (said.total() + wanted.total())


def _by_golds(score: Callable[[str, Sequence[str]], float]) -> Score:
    return lambda item: score(item.answer, item.golds)


RULES: dict[str, tuple[Score, float | None, int]] = {
    "exact_match": (_by_golds(exact_match), None, 2),
    "contains_answer": (_by_golds(contains_answer), None, 2),
    "numeric": (_by_golds(numeric_match), None, 2),
    "token_f1": (_by_golds(token_f1), 0.5, 2),
    "content_f1": (_by_golds(content_f1), 0.5, 2),
    "new_words_f1": (new_words_f1, 0.5, 2),
}
"""Name → score, its usual threshold (those without one are right where all of it holds), version.
In version 1 of the two F1 of words a single letter or digit was no word, so that "7" was "9"; in
that of ``numeric`` "$5M" was five metres; in that of the others a decimal point was punctuation, so
that "1.5" was "15", and “ was none."""


def rule_grader(name: str, threshold: float | None) -> RuleGrader:
    """The rule of that name, in its latest version.

    >>> rule_grader("token_f1", 0.6).name, rule_grader("numeric", None).name
    ('token_f1-v2@0.6', 'numeric-v2')
    """
    score, usual, version = RULES[name]
    if usual is None:
        return RuleGrader(f"{name}-v{version}", score, 1.0)
    chosen = usual if threshold is None else threshold
    return RuleGrader(f"{name}-v{version}@{chosen:g}", score, chosen)
