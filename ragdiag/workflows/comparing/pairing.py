"""The latest evaluations of two versions on one split, question by question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ragdiag.errors import UnknownName
from ragdiag.privacy.hiding import is_hidden
from ragdiag.question_clusters import load_clusters
from ragdiag.records import Request
from ragdiag.retrieval.filters import PassageFilter, filter_of
from ragdiag.store.corpus import load_gold_answers, load_judgments, load_questions
from ragdiag.store.judgments import load_members
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.version import Version


@dataclass(frozen=True)
class Paired:
    """By question, a request of each version (``first``, ``second``), of all that it was asked;
    ``questions`` are the words of those asked of both for one asker (tenant, roles and filters), in
    the order of their ids, and ``owners`` the clusters that these belong to, in that order. Theirs
    are the latest requests for the asker that was asked for last of all that both have, others the
    latest there is. ``size`` is how many there are to ask."""

    judgments: Mapping[str, Mapping[str, int]]
    golds: Mapping[str, Sequence[str]]
    first: Mapping[str, Request]
    second: Mapping[str, Request]
    questions: Mapping[str, str]
    owners: Sequence[str]
    size: int

    @property
    def unpaired(self) -> int:
        """Questions that were asked of one version only, or of both for different askers."""
        return len(self.first.keys() | self.second.keys()) - len(self.questions)


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
    rest = f"{size - n} of the split's questions were not asked of both alike"
    return f"{rest}: ragdiag evaluate VERSION --split {split}"


def pair_evaluations(lake: Lake, a: Version, b: Version, split: str | None) -> Paired:
    """Of the questions of ``split``; None: of every split. Raises UnknownName where one of the
    versions has not been evaluated on it, or the two for different askers only."""
    judgments, members = load_judgments(lake, split), load_members(lake, split)
    by_asker = [_latest_by_asker(_load(lake, version, split, members)) for version in (a, b)]
    first, second = (
        {name: _newest(asked.values()) for name, asked in one.items()} for one in by_asker
    )
    questions = {}
    for name in sorted(first.keys() & second.keys()):
        mine, others = (one[name] for one in by_asker)
        pairs = [(mine[asker], others[asker]) for asker in mine.keys() & others.keys()]
        if pairs:
            # Who is told which passages differs by asker, so a pair is never of two of them.
            first[name], second[name] = max(pairs, key=lambda pair: _newest(pair).asked_at)
            questions[name] = first[name].question
    if not questions and first.keys() & second.keys():
        raise UnknownName(
            f"{a.name} and {b.name} were evaluated for different tenants, roles or filters only",
            remedy=f"evaluate both alike: ragdiag evaluate VERSION --split {split or 'SPLIT'} "
            "with the same --tenant and --role, or without",
        )
    clusters = load_clusters(lake, questions, judgments)
    owners = [clusters[name] for name in questions]
    size = len(questions.keys() | _askable(lake, members))
    return Paired(judgments, load_gold_answers(lake), first, second, questions, owners, size)


def _latest_by_asker(requests: Sequence[Request]) -> dict[str, dict[PassageFilter, Request]]:
    found: dict[str, dict[PassageFilter, Request]] = defaultdict(dict)
    for request in requests:
        found[request.question_id or ""][filter_of(request)] = request
    return found


def _newest(requests: Iterable[Request]) -> Request:
    return max(requests, key=lambda request: request.asked_at)


def _askable(lake: Lake, members: Sequence[str]) -> set[str]:
    known = {one.question_id for one in load_questions(lake) if not is_hidden(one.text)}
    return known.intersection(members)


def latest_requests(lake: Lake, version: Version, split: str | None) -> dict[str, Request]:
    """Question → the version's latest evaluation request of it, whoever asked, for the questions of
    ``split``, or of any. Raises UnknownName where there is none."""
    found = _load(lake, version, split, load_members(lake, split))
    return {request.question_id or "": request for request in found}


def _load(lake: Lake, version: Version, split: str | None, members: Sequence[str]) -> list[Request]:
    """The evaluation requests of ``members``, oldest first; UnknownName where there is none."""
    requests = load_requests(
        lake, version_id=version.version_id, traffic="evaluation", question_ids=members
    )
    if not requests:
        raise UnknownName(
            f"version {version.name} has no evaluation{f' of split {split!r}' if split else ''}",
            remedy=f"run: ragdiag evaluate {version.name} --split {split or 'SPLIT'}",
        )
    return sorted(requests, key=lambda request: request.asked_at)
