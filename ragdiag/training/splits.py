"""Training, dev and a temporal holdout that share no question, no gold passage and no document.

What shares any of these with a question of the holdout, or nearly, is left out. What is left and
shares any of them is one group (connected components), and a group goes into one part whole.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ragdiag.errors import TrainingError
from ragdiag.training.examples import Pair
from ragdiag.training.similarity import (
    DUPLICATE_PASSAGE,
    DUPLICATE_QUESTION,
    NearDuplicates,
    normalised,
    passage_shingles,
    question_shingles,
)

Key = tuple[str, str]


@dataclass(frozen=True)
class SplitOptions:
    """``dev`` is the share of the questions to choose by, ``temporal`` the share of the questions
    with a time, the last ones, that tell whether what was learnt still holds."""

    dev: float = 0.15
    temporal: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """``purged`` are left out: asked before ``cut``, they share something with a later one.
    ``cut`` is None where no question has a time or no holdout was wanted."""

    train: tuple[Pair, ...]
    dev: tuple[Pair, ...]
    temporal: tuple[Pair, ...] = ()
    purged: tuple[Pair, ...] = ()
    cut: datetime | None = None


def split_pairs(
    pairs: Sequence[Pair],
    texts: Mapping[str, str],
    documents: Mapping[str, str],
    asked_at: Mapping[str, datetime] | None = None,
    options: SplitOptions | None = None,
) -> Split:
    """Split by time first, then at random by groups; the same every time under one seed.

    ``documents``: passage id → document (a passage without one is one by itself). ``asked_at``:
    question id → when it was first asked. Raises TrainingError where one group is so large that
    training or dev would be empty.
    """
    options = options or SplitOptions()
    asked_at = asked_at or {}
    cut = _cut(asked_at, {pair.question_id for pair in pairs}, options.temporal)
    shares = _shared(pairs, texts, documents)
    is_late = [cut is not None and _is_from(cut, asked_at.get(p.question_id)) for p in pairs]
    later = {key for at, late in enumerate(is_late) if late for key in shares[at]}
    is_purged = [not late and bool(later & shares[at]) for at, late in enumerate(is_late)]
    groups = _groups([at for at in range(len(pairs)) if not is_late[at] | is_purged[at]], shares)
    train, dev = _at_random([[pairs[at] for at in group] for group in groups], options)
    purged = [pair for pair, gone in zip(pairs, is_purged, strict=True) if gone]
    if not train or not dev:
        raise TrainingError(
            f"{len(pairs)} pairs cannot be split: {max(map(len, groups), default=0)} of them hang "
            f"together by questions and documents, {len(purged)} share one with a later question",
            remedy="give pairs of more documents, or a judged split to choose by",
        )
    late = [pair for pair, after in zip(pairs, is_late, strict=True) if after]
    return Split(tuple(train), tuple(dev), tuple(late), tuple(purged), cut)


def _groups(places: Sequence[int], shares: Sequence[frozenset[Key]]) -> list[list[int]]:
    """Which of ``places`` must stay together, in the order in which the first of each comes."""
    parent = {at: at for at in places}

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    first: dict[Key, int] = {}
    for at in places:
        for key in shares[at]:
            one, other = root(first.setdefault(key, at)), root(at)
            parent[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = defaultdict(list)
    for at in places:
        groups[root(at)].append(at)
    return list(groups.values())


def _shared(
    pairs: Sequence[Pair], texts: Mapping[str, str], documents: Mapping[str, str]
) -> list[frozenset[Key]]:
    """Of each pair what it may share with others."""
    wordings = {pair.question: question_shingles(pair.question) for pair in pairs}
    passages = {pair.passage_id: passage_shingles(texts[pair.passage_id]) for pair in pairs}
    same_question = NearDuplicates(wordings, DUPLICATE_QUESTION)
    same_passage = NearDuplicates(passages, DUPLICATE_PASSAGE)
    wording = {
        name: [("wording", one) for one in same_question.of(wordings[name])] for name in wordings
    }
    passage = {
        name: [("passage", one) for one in same_passage.of(passages[name])] for name in passages
    }
    return [
        frozenset(
            [
                ("question", pair.question_id),
                ("words", normalised(pair.question)),
                ("document", documents.get(pair.passage_id, pair.passage_id)),
                *wording[pair.question],
                *passage[pair.passage_id],
            ]
        )
        for pair in pairs
    ]


def _is_from(cut: datetime, asked_at: datetime | None) -> bool:
    return asked_at is not None and asked_at >= cut


def _cut(
    asked_at: Mapping[str, datetime], questions: Iterable[str], share: float
) -> datetime | None:
    """The time from which on ``share`` of the dated questions were asked."""
    times = sorted(asked_at[name] for name in questions if name in asked_at)
    late = round(len(times) * share)
    if not late or times[-late] == times[0]:
        return None
    return times[-late]


def _at_random(
    groups: Sequence[list[Pair]], options: SplitOptions
) -> tuple[list[Pair], list[Pair]]:
    """Groups go to dev until it has its share of the questions; one that is larger than what is
    still missing goes to training, unless dev would stay empty."""
    wanted = options.dev * len({pair.question_id for group in groups for pair in group})
    shuffled = random.Random(options.seed).sample(groups, len(groups))
    train: list[list[Pair]] = []
    dev: list[list[Pair]] = []
    have = 0
    for group in shuffled:
        size = len({pair.question_id for pair in group})
        if have + size <= max(1.0, wanted):
            dev.append(group)
            have += size
        else:
            train.append(group)
    if not dev and len(train) > 1:
        dev.append(train.pop(train.index(min(train, key=len))))
    return [pair for group in train for pair in group], [pair for group in dev for pair in group]
