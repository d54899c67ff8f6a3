"""Training, dev and a temporal holdout that share no question and no gold passage.

Training and dev share no document either, unless documents tie everything together: questions that
share any of these, or nearly, are one group (connected components), and a group goes into one part
whole. The temporal holdout may ask of a known document, as users do.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Literal

from ragdiag.errors import TrainingError
from ragdiag.training.data.examples import LABELLED, Pair
from ragdiag.training.data.similarity import (
    DUPLICATE_PASSAGE,
    DUPLICATE_QUESTION,
    NearDuplicates,
    normalised,
    passage_shingles,
    question_shingles,
)

Key = tuple[str, str]
DOCUMENT = "document"


@dataclass(frozen=True)
class SplitOptions:
    """``dev`` is the share of the questions to choose by, ``temporal`` the share of the questions
    with a time, the last ones, that tell whether what was learnt still holds. What shares something
    with those is left out of training while it is at most ``most_purged`` of it; else those of the
    holdout that share something are left out instead. Where ``enough`` questions were answered by
    people, only those are in dev and the holdout; weak ones tell little of what users ask."""

    dev: float = 0.15
    temporal: float = 0.15
    most_purged: float = 0.2
    enough: int = 20
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """``purged`` are in no part: they share something with one across ``cut``, from which on
    questions are late, or are weak and share something with dev. Without a holdout ``cut`` is None:
    for the reason ``no_holdout``, or since none was wanted or everything was asked at one time.
    ``by``: what training and dev do not share, next to questions; documents where that leaves any
    dev."""

    train: tuple[Pair, ...]
    dev: tuple[Pair, ...]
    temporal: tuple[Pair, ...] = ()
    purged: tuple[Pair, ...] = ()
    cut: datetime | None = None
    by: Literal["document", "passage"] = "document"
    no_holdout: str = ""


def split_pairs(
    pairs: Sequence[Pair],
    texts: Mapping[str, str],
    documents: Mapping[str, str],
    asked_at: Mapping[str, datetime] | None = None,
    options: SplitOptions | None = None,
) -> Split:
    """Split by time first, then at random by groups; the same every time under one seed. All pairs
    of a question stay together.

    ``documents``: passage id → document (a passage without one is one by itself). ``asked_at``:
    question id → when it was first asked. Raises TrainingError where so much hangs together that
    training or dev would be empty.
    """
    options = options or SplitOptions()
    asked_at = asked_at or {}
    shares = _shared(pairs, texts, documents)
    labelled = {pair.question_id for pair in pairs if pair.source in LABELLED}
    telling = labelled if len(labelled) >= options.enough else set(shares)
    no_holdout = _no_holdout(pairs, telling, asked_at) if options.temporal else ""
    times = [] if no_holdout else [asked_at[name] for name in shares if name in asked_at]
    cut = _cut(times, options.temporal)
    late = {name for name in shares if cut and name in asked_at and asked_at[name] >= cut}
    purged = _purged(shares, late, options.most_purged)
    undecided = [name for name in shares if name not in late | purged]
    by: Literal["document", "passage"] = "document"
    train, dev = _at_random(_groups(undecided, shares), telling, options)
    if not train or not dev:
        by = "passage"
        shares = {name: _not_documents(keys) for name, keys in shares.items()}
        train, dev = _at_random(_groups(undecided, shares), telling, options)
    if not train or not dev:
        raise TrainingError(
            f"{len(undecided)} questions cannot be split: all of them hang together by their "
            "wordings and gold passages",
            remedy="give more questions, or leave out the source whose passages answer everything",
        )

    def of(names: Collection[str]) -> tuple[Pair, ...]:
        return tuple(pair for pair in pairs if pair.question_id in names)

    dev, temporal = dev & telling, (late - purged) & telling
    unused = shares.keys() - (train | dev | temporal)
    return Split(of(train), of(dev), of(temporal), of(unused), cut, by, no_holdout)


def _no_holdout(
    pairs: Sequence[Pair], telling: Collection[str], asked_at: Mapping[str, datetime]
) -> str:
    """Why the questions asked last would tell nothing of later ones; "" where they do."""
    dated = {name for name in telling if name in asked_at}
    if 2 * len(dated) < len(telling):
        return f"users asked {len(dated)} of {len(telling)} questions, fewer than half"
    if all(pair.source == "failure" for pair in pairs if pair.question_id in dated):
        return "retrieval failed on every question that users asked, so that it can only gain"
    return ""


def _purged(
    shares: Mapping[str, frozenset[Key]], late: Collection[str], most: float
) -> frozenset[str]:
    """The questions before the cut that share a question or a passage with later ones; where those
    are too many, the later ones that do."""

    def touching(some: Iterable[str], others: Iterable[str]) -> frozenset[str]:
        there = {key for name in others for key in _not_documents(shares[name])}
        return frozenset(name for name in some if there & shares[name])

    early = [name for name in shares if name not in late]
    purged = touching(early, late)
    return purged if len(purged) <= most * len(early) else touching(late, early)


def _not_documents(keys: frozenset[Key]) -> frozenset[Key]:
    return frozenset(key for key in keys if key[0] != DOCUMENT)


def _groups(names: Sequence[str], shares: Mapping[str, frozenset[Key]]) -> list[list[str]]:
    """Which questions must stay together, in the order in which the first of each comes."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[Key, str] = {}
    for name in names:
        for key in shares[name]:
            parent[root(name)] = root(first.setdefault(key, name))
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[root(name)].append(name)
    return list(groups.values())


def _shared(
    pairs: Sequence[Pair], texts: Mapping[str, str], documents: Mapping[str, str]
) -> dict[str, frozenset[Key]]:
    """Question id → what it may share with others."""
    wordings = {pair.question: question_shingles(pair.question) for pair in pairs}
    passages = {pair.passage_id: passage_shingles(texts[pair.passage_id]) for pair in pairs}
    same_question = NearDuplicates(wordings, DUPLICATE_QUESTION)
    same_passage = NearDuplicates(passages, DUPLICATE_PASSAGE)
    wording = {
        name: {("words", normalised(name)), *(("wording", one) for one in same_question.of(own))}
        for name, own in wordings.items()
    }
    passage = {
        name: {("passage", name), *(("passage", one) for one in same_passage.of(own))}
        for name, own in passages.items()
    }
    shares: dict[str, set[Key]] = defaultdict(set)
    for pair in pairs:
        document = documents.get(pair.passage_id, pair.passage_id)
        shares[pair.question_id] |= wording[pair.question] | passage[pair.passage_id]
        shares[pair.question_id].add((DOCUMENT, document))
    return {name: frozenset(keys) for name, keys in shares.items()}


def _cut(times: Iterable[datetime], share: float) -> datetime | None:
    """The time from which on ``share`` of the dated questions were asked."""
    times = sorted(times)
    late = round(len(times) * share)
    return times[-late] if late and times[-late] > times[0] else None


def _at_random(
    groups: Sequence[list[str]], telling: Collection[str], options: SplitOptions
) -> tuple[frozenset[str], frozenset[str]]:
    """Training and dev: groups go to dev while it has not its share of the ``telling`` questions;
    one that has more of them than are still missing goes to training, unless dev would stay
    empty."""
    sizes = [sum(name in telling for name in group) for group in groups]
    wanted, have = max(1.0, options.dev * sum(sizes)), 0
    train: list[int] = []
    dev: list[int] = []
    for at in random.Random(options.seed).sample(range(len(groups)), len(groups)):
        fits = 0 < sizes[at] <= wanted - have
        (dev if fits else train).append(at)
        have += sizes[at] if fits else 0
    left = [at for at in train if sizes[at]]
    if not dev and len(train) > 1 and left:
        smallest = min(left, key=lambda at: sizes[at])
        train.remove(smallest)
        dev.append(smallest)
    chosen = (chain.from_iterable(groups[at] for at in part) for part in (train, dev))
    first, second = map(frozenset, chosen)
    return first, second
