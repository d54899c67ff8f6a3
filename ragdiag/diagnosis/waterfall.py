"""The first stage that lost the gold: deterministic, no model call (METHODS.md §3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ragdiag.metrics.answers import normalise_answer
from ragdiag.records import Cause, Hit, Request

SURVIVAL: tuple[Cause, ...] = (
    "corpus_gap",
    "recall_miss",
    "beyond_logged_depth",
    "fusion_loss",
    "rerank_loss",
    "packing",
    "in_context",
)
"""Causes from the earliest loss to none; the rule is applied to the gold that came furthest."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Where the best-surviving gold passage went, with its rank (from 1) at each stage.

    ``missing`` is the same of the gold passages that did not reach the prompt, where others did.
    """

    cause: Cause
    passage_id: str | None
    ranks: Mapping[str, int | None]
    gold_recall_at_context: float
    missing: Loss | None = None


def locate_loss(
    request: Request,
    *,
    gold: Collection[str],
    indexed: Collection[str],
    texts: Mapping[str, str],
    answers: Sequence[str],
    k: int,
    short: bool | None = None,
) -> Loss:
    """Find the first stage without a gold passage.

    ``gold`` are the relevant passages (empty: ``gold_unknown``), ``indexed`` the passages of the
    build that served, ``texts`` the gold passages' full texts, ``answers`` the accepted gold
    answers, ``k`` how many passages the version hands to packing. ``short`` is what
    :func:`is_reranked_short` says of the log, where ``request`` has longer lists than that.
    """
    if not gold:
        return Loss("gold_unknown", None, {}, float("nan"))
    short = is_reranked_short(request, k) if short is None else short
    causes = {
        passage_id: _cause(
            request, passage_id, indexed, texts.get(passage_id, ""), answers, k, short
        )
        for passage_id in sorted(gold)
    }
    lost = {name: cause for name, cause in causes.items() if cause != "in_context"}
    recall = 1 - len(lost) / len(causes)
    found = _furthest(request, causes, recall)
    if not lost or len(lost) == len(causes):
        return found
    return replace(found, missing=_furthest(request, lost, recall))


def _furthest(request: Request, causes: Mapping[str, Cause], recall: float) -> Loss:
    best = max(causes, key=lambda passage_id: SURVIVAL.index(causes[passage_id]))
    return Loss(causes[best], best, _ranks(request, best), recall)


def _cause(
    request: Request,
    passage_id: str,
    indexed: Collection[str],
    text: str,
    answers: Sequence[str],
    k: int,
    short: bool,
) -> Cause:
    if passage_id not in indexed:
        return "corpus_gap"
    if has_arrived(request, passage_id, text, answers):
        return "in_context"
    if _rank(request.ranking[:k], passage_id) or _rank_in_context(request, passage_id):
        return "packing"
    if _rank(request.fused, passage_id):
        # Between the last reranked hit that was logged and rank k packing may have lost it.
        return "beyond_logged_depth" if short else "rerank_loss"
    paths = [path for path in (request.lexical, request.dense) if path is not None]
    found = any(_rank(path, passage_id) for path in paths)
    if found:
        # A fused list that was logged short cannot tell a cut by fusion from one by top-k.
        return "beyond_logged_depth" if _was_cut(request, request.fused) else "fusion_loss"
    cut = not paths or any(_was_cut(request, path) for path in paths)
    return "beyond_logged_depth" if cut else "recall_miss"


def is_reranked_short(request: Request, k: int) -> bool:
    """Whether the log of the reranked list ended before the ``k`` hits that packing was given."""
    hits = request.reranked
    return hits is not None and len(hits) < k and _was_cut(request, hits)


def has_arrived(request: Request, passage_id: str, text: str, answers: Sequence[str]) -> bool:
    """Whether the prompt held the passage's answer span; its whole text where it has none."""
    kept = next((hit.chars for hit in request.context if hit.passage_id == passage_id), None)
    if kept is None:
        return False
    spans = [answer for answer in answers if contains(text, answer)]
    return any(contains(text[:kept], span) for span in spans) if spans else kept >= len(text)


def contains(text: str, answer: str) -> bool:
    """Whether the normalised answer stands in the normalised text, at word boundaries."""
    wanted = normalise_answer(answer)
    return bool(wanted) and f" {wanted} " in f" {normalise_answer(text)} "


def _was_cut(request: Request, hits: Sequence[Hit]) -> bool:
    """Whether the list went on after its last logged hit."""
    depth = request.logged_depth
    return depth is not None and len(hits) >= depth and depth < request.searched_depth


def _ranks(request: Request, passage_id: str) -> dict[str, int | None]:
    lists = {
        "lexical": request.lexical,
        "dense": request.dense,
        "fused": request.fused,
        "reranked": request.reranked,
    }
    ranks = {stage: _rank(hits, passage_id) for stage, hits in lists.items() if hits is not None}
    return {**ranks, "context": _rank_in_context(request, passage_id)}


def _rank(hits: Sequence[Hit], passage_id: str) -> int | None:
    return next(
        (rank for rank, hit in enumerate(hits, start=1) if hit.passage_id == passage_id), None
    )


def _rank_in_context(request: Request, passage_id: str) -> int | None:
    return next(
        (rank for rank, hit in enumerate(request.context, 1) if hit.passage_id == passage_id), None
    )
