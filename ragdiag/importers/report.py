"""What an import loaded and what it refused."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ragdiag.privacy.screening import open_screen
from ragdiag.records import Judgment, Passage, Reject
from ragdiag.store.corpus import CorpusChange, add_documents
from ragdiag.store.gold import GoldChange
from ragdiag.store.intake.screening import screen_rejects
from ragdiag.store.judgments import add_judgments
from ragdiag.store.lake import Lake
from ragdiag.store.rejects import known_rejects
from ragdiag.store.results import save_rejects

BODY_CHARS = 500
"""How much of a refused line is kept with its reject."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Counts of what the files held and the workspace now has, and the rejects.

    ``added``, ``replaced``, ``removed`` and ``unchanged`` say what became of the passages;
    ``passages`` are all but the removed ones. ``judgments`` are by split. ``skipped`` files have
    a suffix that is not read, or lie outside the folder. ``unread_fields`` counts a gold file's
    lines by field.
    """

    documents: int = 0
    passages: int = 0
    added: int = 0
    replaced: int = 0
    removed: int = 0
    unchanged: int = 0
    questions: int = 0
    judgments: Mapping[str, int] = field(default_factory=dict)
    questions_with_passages: int = 0
    answers: int = 0
    skipped: int = 0
    unread_fields: Mapping[str, int] = field(default_factory=dict)
    rejects: tuple[Reject, ...] = ()

    @property
    def changed(self) -> int:
        """Passages that are not what they were before."""
        return self.added + self.replaced + self.removed

    @property
    def found(self) -> bool:
        """Whether the files held anything that is loaded now, new or not."""
        held = (self.documents, self.passages, self.removed, self.questions, self.answers)
        return any(held) or any(self.judgments.values())

    def to_json(self) -> dict[str, Any]:
        """Every count, and each reject's source, line and reason.

        >>> report = ImportReport(documents=1, rejects=(Reject("a.jsonl", 2, "not JSON", "{"),))
        >>> report.to_json()["rejects"]
        [{'source': 'a.jsonl', 'line': 2, 'reason': 'not JSON'}]
        """
        rejects = [
            {"source": reject.source, "line": reject.line, "reason": reject.reason}
            for reject in self.rejects
        ]
        return {**asdict(self), "rejects": rejects}


@dataclass(frozen=True, slots=True)
class Judged:
    """Judgments by split, and questions with a relevant passage."""

    by_split: Mapping[str, int]
    questions: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record came from: a line of a file (0: the file as a whole)."""

    source: str
    line: int = 0
    body: str = ""

    def reject(self, reason: str) -> Reject:
        return Reject(self.source, self.line, reason, self.body[:BODY_CHARS])


def source_name(path: Path) -> str:
    """A file's whole path as text that can be stored, whatever bytes its name has."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8", errors="replace")


def located_rejects(change: CorpusChange | GoldChange, origins: Sequence[Origin]) -> list[Reject]:
    """The store's rejects, whose line is a record's number in the call, at their file and line."""
    return [origins[reject.line - 1].reject(reject.reason) for reject in change.rejects]


def load_documents(
    lake: Lake, passages: Sequence[Passage], origins: Sequence[Origin]
) -> tuple[ImportReport, list[Reject]]:
    """Add the documents and count them; ``origins[i]`` is where ``passages[i]`` came from."""
    change = add_documents(lake, passages)
    refused = {reject.line for reject in change.rejects}
    documents = {p.document_id for n, p in enumerate(passages, start=1) if n not in refused}
    report = ImportReport(
        documents=len(documents),
        passages=change.added + change.replaced + change.unchanged,
        added=change.added,
        replaced=change.replaced,
        removed=change.removed,
        unchanged=change.unchanged,
    )
    return report, located_rejects(change, origins)


def load_judgments(
    lake: Lake, judgments: Sequence[Judgment], origins: Sequence[Origin]
) -> tuple[Judged, list[Reject]]:
    """Add the judgments and count those that the workspace now has."""
    change = add_judgments(lake, judgments)
    refused = {reject.line for reject in change.rejects}
    kept = [j for n, j in enumerate(judgments, start=1) if n not in refused]
    by_split = Counter(judgment.split for judgment in kept)
    with_passages = {judgment.question_id for judgment in kept if judgment.grade > 0}
    return Judged(dict(by_split), len(with_passages)), located_rejects(change, origins)


def accepted(change: GoldChange) -> int:
    """How many records of a call the workspace now has."""
    return change.added + change.replaced + change.unchanged


def keep_rejects(lake: Lake, rejects: Iterable[Reject]) -> tuple[Reject, ...]:
    """Save those rejects that the workspace does not have yet; returns them all, in file order."""
    in_order = sorted(rejects, key=lambda reject: (reject.source, reject.line))
    found = screen_rejects(open_screen(lake.workspace), in_order)
    known = known_rejects(lake, {reject.source for reject in found})
    save_rejects(lake, [r for r in found if (r.source, r.line, r.reason) not in known])
    return tuple(found)
