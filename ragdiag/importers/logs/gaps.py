"""What was seen in an import, and what cannot be diagnosed for lack of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from ragdiag.importers.logs.reading import Reading
from ragdiag.records import DEFAULT_GRADER, Grade, Passage, Request
from ragdiag.spans.conventions import UNVERSIONED
from ragdiag.store.gold import known_ids
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_versions


class Sightings:
    """Counts over the readings that were accepted."""

    def __init__(self) -> None:
        self.requests = 0
        self.versions: Counter[str] = Counter()
        self.labels: dict[str, Counter[str]] = {}
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.timeless = 0
        self._golden = 0
        self._judged = 0
        self._questions: Counter[str] = Counter()
        self._unnamed = 0
        self._no_context = 0
        self._no_text = 0

    def see(self, reading: Reading) -> None:
        texts = sum(isinstance(record, Passage) for record in reading.records)
        for record in reading.records:
            if isinstance(record, Request):
                self._see_request(record, reading, texts)
        self._see_labels([one for one in reading.records if isinstance(one, Grade)])

    def _see_labels(self, grades: Sequence[Grade]) -> None:
        """Published labels by what they say, and how often the default grader says the same."""
        default = next((grade.y for grade in grades if grade.grader == DEFAULT_GRADER), None)
        for grade in grades:
            if grade.grader == DEFAULT_GRADER:
                continue
            counts = self.labels.setdefault(grade.grader, Counter())
            counts[{1: "right", 0: "wrong", None: "undecided"}[grade.y]] += 1
            if grade.y is not None and default is not None:
                counts["compared"] += 1
                counts["agree"] += grade.y == default

    def _see_request(self, request: Request, reading: Reading, texts: int) -> None:
        self.requests += 1
        self.versions[request.version_id] += 1
        self.timeless += reading.timeless
        self._unnamed += request.request_id.startswith("row-")
        self._no_context += not request.context
        self._no_text += bool(request.context) and not texts
        self.first_at = min(self.first_at or request.asked_at, request.asked_at)
        self.last_at = max(self.last_at or request.asked_at, request.asked_at)
        if reading.gold is not None:
            self._golden += 1
        self._judged += bool(reading.gold_passages)
        if request.question_id is not None:
            self._questions[request.question_id] += 1

    def gaps(self, lake: Lake | None) -> tuple[str, ...]:
        """One sentence for each thing that is lacking; none for a log that lacks nothing."""
        if not self.requests:
            return ("No request was read, so there is nothing to diagnose.",)
        answered, judged, specs = 0, 0, set[str]()
        if lake is not None:
            answered = self._known(lake, "gold_answers")
            judged = self._known(lake, "judgments")
            specs = {version.version_id for version in list_versions(lake)}
        no_gold = self.requests - max(self._golden, answered)
        foreign = sum(n for version, n in self.versions.items() if version not in specs)
        found = (
            (
                no_gold,
                "no gold answer, so whether they are right stays unknown: "
                "run: ragdiag import gold QUESTIONS.jsonl",
            ),
            (
                self.requests - max(self._judged, judged),
                "no gold passages, so where the gold was lost stays unknown (cause gold_unknown)",
            ),
            (
                foreign,
                "a version without a spec, so they cannot be replayed (no verdict of tier A)",
            ),
            (self._no_context, "no context, so what the generator was shown stays unknown"),
            (self._no_text, "a context of ids alone: its texts are shown only from the corpus"),
            (self._unnamed, "no id: each was named by its content"),
            (self.timeless, "no time: they have the time of their file"),
            (self.versions[UNVERSIONED], f"no version: they are called {UNVERSIONED!r}"),
        )
        return tuple(
            f"{n:,} of {self.requests:,} requests have {what}." for n, what in found if n > 0
        )

    def _known(self, lake: Lake, table: str) -> int:
        look = partial(known_ids, table=table, column="question_id", ids=self._questions)
        known = lake.read(look)
        return sum(self._questions[question_id] for question_id in known)
