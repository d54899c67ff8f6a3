"""Pairs with where they come from, and the joining of several sources into one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ragdiag.errors import TrainingError
from ragdiag.training.data.examples import Pair, Source
from ragdiag.training.data.similarity import normalised

FEWEST_PAIRS = 10
STRENGTH: tuple[Source, ...] = (
    "judgment",
    "failure",
    "click",
    "feedback",
    "generated",
    "bm25",
    "title",
    "general",
    "sentence",
)
"""Sources from the one that is believed most. The first two rest on the same labels."""

_REASONS = 3
"""Told where too few pairs are left."""

Skipped = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Mined:
    """What one source gave.

    ``texts``: texts of passages that differ from the corpus's, since their question was taken out.
    ``skipped``: reason → ids of what gave no pair.
    """

    pairs: tuple[Pair, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """How many pairs by source, and how much gave none by reason; no ids, since some are those
        of requests, which must not outlast their users."""
        return {
            "pairs": dict(Counter(pair.source for pair in self.pairs)),
            "skipped": {reason: len(names) for reason, names in sorted(self.skipped.items())},
        }


def join_mined(
    parts: Sequence[Mined],
    irrelevant: Collection[tuple[str, str]] = (),
    known: Mapping[str, str] | None = None,
) -> Mined:
    """One pair for each wording and passage, of the source that is believed most.

    Questions of the same words get one id: that which is ``known`` for them (normalised words →
    id), else that of the strongest source. A pair keeps its highest weight, and names requests only
    where all that gave it do. What somebody judged ``irrelevant`` (question id, passage id) is no
    pair, and a passage whose text has lost a question stays whole where another source has it too.
    """
    ranked = sorted(
        (pair for part in parts for pair in part.pairs), key=lambda one: STRENGTH.index(one.source)
    )
    ids = dict(known or {})
    for pair in ranked:
        ids.setdefault(normalised(pair.question), pair.question_id)
    found: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in ranked:
        found[normalised(pair.question), pair.passage_id].append(pair)
    joined = [_one_of(same, ids[wording]) for (wording, _), same in found.items()]
    whole = {pair.passage_id for pair in joined if pair.source != "title"}
    skipped = _all_skipped(parts)
    kept = []
    for pair in joined:
        if (pair.question_id, pair.passage_id) in irrelevant:
            skipped["judged irrelevant"].append(pair.question_id)
        elif pair.source != "title" or pair.passage_id not in whole:
            kept.append(pair)
        else:
            skipped["its passage has a better question"].append(pair.question_id)
    own = {pair.passage_id for pair in kept if pair.source == "title"}
    return Mined(
        tuple(kept),
        {name: text for part in parts for name, text in part.texts.items() if name in own},
        dict(skipped),
    )


def require_pairs(pairs: Sequence[Pair], refused: Mapping[str, int] | None = None) -> None:
    """Raises TrainingError below FEWEST_PAIRS, with the commonest reasons of what was ``refused``
    (reason → how many)."""
    if len(pairs) < FEWEST_PAIRS:
        common = Counter(refused or {}).most_common(_REASONS)
        told = "; ".join(f"{n} {reason}" for reason, n in common)
        raise TrainingError(
            f"there are {len(pairs)} pairs to learn from, and {FEWEST_PAIRS} are needed"
            + (f" (refused: {told})" if told else ""),
            remedy="judge more questions, import logs with feedback, "
            "or let titles and BM25 make weak pairs",
        )


def _one_of(same: Sequence[Pair], question_id: str) -> Pair:
    """The strongest of equal pairs, the strongest first, with what the others add."""
    supported = all(pair.request_ids for pair in same)
    requests = {name for pair in same for name in pair.request_ids} if supported else ()
    is_failure = any(pair.source == "failure" for pair in same)
    return replace(
        same[0],
        question_id=question_id,
        source="failure" if is_failure else same[0].source,
        weight=max(pair.weight for pair in same),
        request_ids=tuple(sorted(requests)),
    )


def _all_skipped(parts: Iterable[Mined]) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for part in parts:
        for reason, names in part.skipped.items():
            found[reason] += names
    return found
