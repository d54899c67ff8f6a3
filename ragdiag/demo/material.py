"""What the demo is made of: the documents, what is asked about them, and what comes late."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ragdiag.demo.chance import stable_fraction
from ragdiag.demo.corpus import entry_passages, make_entries, sample_entries
from ragdiag.demo.objects import read_objects
from ragdiag.demo.questions import Asked, make_questions
from ragdiag.demo.schedule import LATE_SHARE
from ragdiag.progress import Progress, part, report
from ragdiag.records import Passage
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake

Size = Literal["small", "full"]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of everything: ``entries`` of those that ``share`` of the objects give, or all.

    Nearly all the time goes to encoding: on two cores without an accelerator each 100 entries of
    the full demo cost about 7 s, each request 25 ms. ``faults``: failures of each known fault that
    verdicts are held against.
    """

    share: float
    entries: int | None
    test_questions: int
    requests_per_week: int
    faults: int


EXTENTS: dict[Size, Extent] = {
    "small": Extent(share=0.2, entries=200, test_questions=50, requests_per_week=30, faults=2),
    "full": Extent(share=0.75, entries=None, test_questions=200, requests_per_week=240, faults=20),
}


@dataclass(frozen=True)
class Material:
    """``early`` and ``late`` passages are ingested before the first week and before LATE_WEEK.

    Production asks the ``train`` questions; the ``test`` questions are kept for evaluation.
    ``late_entries`` are the documents that ``late`` passages belong to.
    """

    early: tuple[Passage, ...]
    late: tuple[Passage, ...]
    train: tuple[Asked, ...]
    test: tuple[Asked, ...]
    late_entries: frozenset[str]

    @cached_property
    def golds(self) -> dict[str, tuple[str, ...]]:
        """Question → its accepted answers."""
        return {one.question.question_id: one.gold.answers for one in (*self.train, *self.test)}


def read_material(size: Size, progress: Progress | None = None) -> Material:
    """Read the documentation installed here; the same packages give the same material."""
    extent = EXTENTS[size]
    objects = read_objects(part(progress, 0.0, 0.6))
    read = [one for one in objects if stable_fraction(one.name, "share") < extent.share]
    entries = make_entries(read)
    if extent.entries is not None:
        entries = sample_entries(entries, extent.entries)
    report(progress, 0.7, f"cutting {len(entries)} entries into passages")
    tokens = load_tokenizer()
    passages = {entry.name: entry_passages(entry, tokens) for entry in entries}
    report(progress, 0.9, "asking about them")
    asked = make_questions(entries, passages)
    late = frozenset(e.name for e in entries if stable_fraction(e.name, "late") < LATE_SHARE)
    return Material(
        early=tuple(p for name, own in passages.items() if name not in late for p in own),
        late=tuple(p for name, own in passages.items() if name in late for p in own),
        train=tuple(one for one in asked if one.split == "train"),
        test=tuple(_sample([one for one in asked if one.split == "test"], extent.test_questions)),
        late_entries=late,
    )


def ingest_early(lake: Lake, material: Material) -> None:
    """Documents that are there from the start, and what is asked about them. Idempotent."""
    asked = [
        one for one in (*material.train, *material.test) if one.entry not in material.late_entries
    ]
    add_documents(lake, material.early)
    _add_asked(lake, asked, {passage.passage_id for passage in material.early})


def ingest_late(lake: Lake, material: Material) -> None:
    """The rest; judgments of early questions about late documents come with them. Idempotent."""
    add_documents(lake, material.late)
    known = {passage.passage_id for passage in (*material.early, *material.late)}
    _add_asked(lake, (*material.train, *material.test), known)


def _add_asked(lake: Lake, asked: Iterable[Asked], known: set[str]) -> None:
    given = list(asked)
    add_questions(lake, [one.question for one in given])
    add_gold_answers(lake, [one.gold for one in given])
    add_judgments(lake, [j for one in given for j in one.judgments if j.passage_id in known])


def _sample(asked: list[Asked], n: int) -> list[Asked]:
    """``n`` of them in the order given, chosen by their ids."""
    drawn = sorted(asked, key=lambda one: stable_fraction(one.question.question_id, "sample"))
    chosen = {one.question.question_id for one in drawn[:n]}
    return [one for one in asked if one.question.question_id in chosen]
