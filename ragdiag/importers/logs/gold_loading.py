"""Gold answers and gold passages of an import: which row says what, and into the lake with it.

Which passages are gold waits for the end of the import: a text that one row gives without an id
may have one in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragdiag.importers.logs.reading import Reading
from ragdiag.importers.report import Origin
from ragdiag.records import Judgment, Reject
from ragdiag.store.gold import GoldChange, add_gold_answers, add_questions
from ragdiag.store.judgments import add_judgments, highest_grades
from ragdiag.store.lake import Lake
from ragdiag.store.logged_passages import named_elsewhere

IMPORTED_SPLIT = "imported"
"""The split of judgments that come with a log."""


class GoldLoader:
    """Takes the gold of one import's readings, batch by batch."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}
        self._judged: dict[tuple[str, str], tuple[Origin, bool]] = {}

    def fault(self, reading: Reading) -> str | None:
        """Gold that contradicts what an earlier row said of the same question. The topic
        may differ: a log has that of each request."""
        if reading.question is None or reading.gold is None:
            return None
        said = hash((reading.question.text, reading.gold))
        first = self._said.setdefault(reading.question.question_id, said)
        if first == said:
            return None
        question_id = reading.question.question_id
        return f"question {question_id!a} was given before with another text or other gold"

    def load(self, lake: Lake, readings: Sequence[Reading]) -> Iterator[tuple[str, GoldChange]]:
        """Store questions and answers; what became of each kind."""
        for reading in readings:
            if reading.question is not None:
                for passage_id in reading.gold_passages:
                    key = (reading.question.question_id, passage_id)
                    origin = Origin(reading.origin.source, reading.origin.line)
                    self._judged.setdefault(key, (origin, reading.gold_by_text))
        questions = {r.question.question_id: r.question for r in readings if r.question}
        golds = {r.gold.question_id: r.gold for r in readings if r.gold}
        if questions:
            yield "question", add_questions(lake, questions.values())
        if golds:
            yield "gold_answer", add_gold_answers(lake, golds.values())

    def finish(self, lake: Lake) -> tuple[GoldChange, list[Reject]] | None:
        """Store which passages are gold, once all of the log is in the lake; what became of the
        judgments and the rejects at their rows. A pair that is judged keeps its grade."""
        if not self._judged:
            return None
        sought = [passage for (_, passage), (_, by_text) in self._judged.items() if by_text]
        names = named_elsewhere(lake, sought)
        pairs: dict[tuple[str, str], Origin] = {}
        for (question_id, passage_id), (origin, by_text) in self._judged.items():
            found = names.get(passage_id, passage_id) if by_text else passage_id
            pairs.setdefault((question_id, found), origin)
        grades = highest_grades(lake, {question_id for question_id, _ in pairs})
        judgments = [Judgment(*pair, grades.get(pair, 1), IMPORTED_SPLIT) for pair in pairs]
        change = add_judgments(lake, judgments, foreign=True)
        origins = list(pairs.values())
        return change, [origins[one.line - 1].reject(one.reason) for one in change.rejects]
