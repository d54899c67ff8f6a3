"""The latest evaluations of two versions on one split, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragdiag.errors import UnknownName
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Request
from ragdiag.store.corpus import load_gold_answers, load_judgments, load_questions
from ragdiag.store.judgments import load_members
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.version import Version
from ragdiag.workflows.comparing.clusters import load_clusters


@dataclass(frozen=True)
class Paired:
    """By question, each version's latest request (``first``, ``second``), of all that it was asked;
    ``questions`` are the words of those asked of both, in the order of their ids, and ``owners``
    the clusters that these belong to, in that order. ``size`` is how many there are to ask."""

    judgments: Mapping[str, Mapping[str, int]]
    golds: Mapping[str, Sequence[str]]
    first: Mapping[str, Request]
    second: Mapping[str, Request]
    questions: Mapping[str, str]
    owners: Sequence[str]
    size: int


def asked_words(n: int, size: int) -> str:
    """How many questions of a split a comparison is about.

    >>> asked_words(40, 40), asked_words(40, 50)
    ('40 questions', '40 of 50 questions')
    """
    return f"{n} questions" if n == size else f"{n} of {size} questions"


def missing_words(n: int, size: int, split: str) -> str:
    """What a comparison leaves out, and what mends it; empty where that is nothing."""
    if n == size:
        return ""
    rest = f"{size - n} of the split's questions were not asked of both"
    return f"{rest}: ragdiag evaluate VERSION --split {split}"


def pair_evaluations(lake: Lake, a: Version, b: Version, split: str | None) -> Paired:
    """Of the questions of ``split``; None: of every split. Raises UnknownName where one of the
    versions has not been evaluated on it."""
    judgments = load_judgments(lake, split)
    first, second = (latest_requests(lake, version, split) for version in (a, b))
    questions = {name: first[name].question for name in sorted(first.keys() & second.keys())}
    clusters = load_clusters(lake, questions, judgments)
    owners = [clusters[name] for name in questions]
    size = len(questions.keys() | _askable(lake, split))
    return Paired(judgments, load_gold_answers(lake), first, second, questions, owners, size)


def _askable(lake: Lake, split: str | None) -> set[str]:
    members = set(load_members(lake, split))
    known = (one for one in load_questions(lake) if not is_hidden(one.text))
    return {one.question_id for one in known if one.question_id in members}


def latest_requests(lake: Lake, version: Version, split: str | None) -> dict[str, Request]:
    """Question → the version's latest evaluation request of it, for the questions of ``split``, or
    of any. Raises UnknownName where there is none."""
    members = load_members(lake, split)
    requests = load_requests(
        lake, version_id=version.version_id, traffic="evaluation", question_ids=members
    )
    if not requests:
        raise UnknownName(
            f"version {version.name} has no evaluation{f' of split {split!r}' if split else ''}",
            remedy=f"run: ragdiag evaluate {version.name} --split {split or 'SPLIT'}",
        )
    ordered = sorted(requests, key=lambda request: request.asked_at)
    return {request.question_id or "": request for request in ordered}
