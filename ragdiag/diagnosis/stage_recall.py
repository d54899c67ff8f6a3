"""How much of the gold every stage kept, over many requests: which stage loses it.

The waterfall asks that of one request and its best-surviving gold passage; this counts all gold of
all requests, the right answers too. No model is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ragdiag.diagnosis.waterfall import has_arrived
from ragdiag.records import Estimate, Hit, Request
from ragdiag.stats.cluster_bootstrap import bounded_cluster_mean

Stage = Literal["lexical", "dense", "either", "fused", "reranked", "context"]
Kept = dict[Stage, frozenset[str]]

NOTHING_BEFORE = "nothing is stored of what came before"


@dataclass(frozen=True, slots=True)
class Gold:
    """The gold passages of one question with what is known of their texts, and its accepted
    answers."""

    texts: Mapping[str, str]
    answers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StageRecall:
    """``recall`` is the mean share of a question's gold passages that the stage's list holds, as it
    was logged; ``lost`` the share that the stage before held and this one does not. ``most`` is
    the length of the longest list. ``either`` is what one of the two paths found."""

    stage: Stage
    recall: Estimate
    lost: Estimate
    most: int

    def to_json(self) -> dict[str, Any]:
        return {
            "recall": self.recall.to_json(),
            "lost": self.lost.to_json(),
            "passages": self.most,
        }


def recall_by_stage(requests: Sequence[Request], golds: Mapping[str, Gold]) -> list[StageRecall]:
    """The stages that are stored, in order; of requests whose question has gold. Those that failed
    are left out: that their lists are empty says nothing of a stage.

    A gold passage has reached the prompt as in the waterfall: by its answer span, else whole.
    Intervals are by question, since one may have been asked several times.
    """
    known = [
        (request, gold)
        for request in requests
        if request.status != "error"
        and (gold := golds.get(request.question_id or "")) is not None
        and gold.texts
    ]
    kept = [_kept(request, gold) for request, gold in known]
    longest = [_lengths(request) for request, _ in known]
    found = []
    for stage in ("lexical", "dense", "either", "fused", "reranked", "context"):
        at = [n for n, one in enumerate(kept) if stage in one]
        if not at:
            continue
        before = {n: place for n in at if (place := _before(stage, kept[n])) is not None}
        lost = [kept[n][place] - kept[n][stage] for n, place in before.items()]
        found.append(
            StageRecall(
                stage=stage,
                recall=_mean(known, at, [kept[n][stage] for n in at]),
                lost=_mean(known, list(before), lost)
                if before
                else Estimate.undefined(NOTHING_BEFORE),
                most=max(longest[n].get(stage, 0) for n in at),
            )
        )
    return found


def worst_stage(stages: Sequence[StageRecall]) -> StageRecall | None:
    """The stage that loses most; None where none loses anything."""
    losing = [one for one in stages if one.lost.value > 0]
    return max(losing, key=lambda one: one.lost.value, default=None)


def _mean(
    known: Sequence[tuple[Request, Gold]], at: Sequence[int], held: Sequence[frozenset[str]]
) -> Estimate:
    shares = [len(some) / len(known[n][1].texts) for n, some in zip(at, held, strict=True)]
    found = bounded_cluster_mean(shares, [known[n][0].question_id for n in at], low=0.0, high=1.0)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _kept(request: Request, gold: Gold) -> Kept:
    """The gold passages in the list of every stage that is stored."""
    golden = gold.texts.keys()
    kept: Kept = {
        stage: frozenset(hit.passage_id for hit in hits if hit.passage_id in golden)
        for stage, hits in _lists(request).items()
    }
    if "lexical" in kept and "dense" in kept:
        kept["either"] = kept["lexical"] | kept["dense"]
    kept["context"] = frozenset(
        name for name, text in gold.texts.items() if has_arrived(request, name, text, gold.answers)
    )
    return kept


def _lists(request: Request) -> dict[Stage, Sequence[Hit]]:
    lists: dict[Stage, Sequence[Hit] | None] = {
        "lexical": request.lexical,
        "dense": request.dense,
        # A prompt with passages shows that the list was not logged; without, that it was empty.
        "fused": None if request.context and not request.fused else request.fused,
        "reranked": request.reranked,
    }
    return {stage: hits for stage, hits in lists.items() if hits is not None}


def _lengths(request: Request) -> dict[Stage, int]:
    lengths: dict[Stage, int] = {stage: len(hits) for stage, hits in _lists(request).items()}
    return lengths | {
        "either": lengths.get("lexical", 0) + lengths.get("dense", 0),
        "context": len(request.context),
    }


def _before(stage: Stage, kept: Kept) -> Stage | None:
    """The stage whose list was handed on to this one."""
    handed: Mapping[Stage, tuple[Stage, ...]] = {
        "fused": ("either", "dense", "lexical"),
        "reranked": ("fused", "either", "dense", "lexical"),
        "context": ("reranked", "fused", "either", "dense", "lexical"),
    }
    return next((one for one in handed.get(stage, ()) if one in kept), None)
