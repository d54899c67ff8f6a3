"""Pairs from what users said and clicked, corrected for where they were shown it.

Position-based model (Joachims, Swaminathan & Schnabel 2017): a passage at rank r is looked at with
propensity r^−η, so one that was chosen there stands for r^η of them. A pair weighs the sum over the
requests that chose it, clipped, since one choice far down would outweigh everything else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Feedback, Request
from ragdiag.training.data.examples import Pair, Source
from ragdiag.training.data.mined import Mined
from ragdiag.training.data.pairs import NOT_STORED, question_name

Choice = tuple[Source, str, int]
"""Source, passage id, and the rank (from 1) at which it was shown."""


@dataclass(frozen=True)
class ClickOptions:
    """``eta``: how steeply attention falls with rank, 0 for not at all. ``clip``: the most that a
    pair weighs."""

    eta: float = 1.0
    clip: float = 5.0


def pairs_from_feedback(
    requests: Iterable[Request],
    feedback: Iterable[Feedback],
    options: ClickOptions | None = None,
) -> Mined:
    """Pairs of the passages that users clicked, and of those behind an answer that they liked: its
    citations, else the first passage of its context.

    Skipped: requests that somebody disliked, whatever was clicked there, and those where nothing
    that was chosen had been shown.
    """
    options = options or ClickOptions()
    said: dict[str, list[Feedback]] = defaultdict(list)
    for one in feedback:
        said[one.request_id].append(one)
    weights: dict[tuple[str, str, str], float] = defaultdict(float)
    behind: dict[tuple[str, str, str], dict[str, Source]] = defaultdict(dict)
    skipped: dict[str, list[str]] = defaultdict(list)
    for request in requests:
        given = said.get(request.request_id, [])
        if not given:
            continue
        chosen = _chosen(request, given)
        if isinstance(chosen, str):
            skipped[chosen].append(request.request_id)
            continue
        name = question_name(request)
        for source, passage_id, rank in chosen:
            key = name, request.question, passage_id
            weights[key] += rank**options.eta
            behind[key][request.request_id] = source
    pairs = _weighed(weights, behind, options.clip)
    return Mined(tuple(pairs), skipped=dict(skipped))


def _chosen(request: Request, given: Sequence[Feedback]) -> list[Choice] | str:
    """What the users of one request chose, a click before a liking; or why it tells nothing."""
    if is_hidden(request.question):
        return NOT_STORED
    if any(_is_dislike(one) for one in given):
        return "somebody disliked the answer"
    found: dict[str, Choice] = {}
    liked = any(one.kind != "click" and one.value > 0 for one in given)
    for passage_id in _behind_answer(request) if liked else ():
        rank = _rank(passage_id, [hit.passage_id for hit in request.context])
        found[passage_id] = ("feedback", passage_id, rank or 1)
    seen = [*request.citations, *(hit.passage_id for hit in request.context)]
    for one in given:
        rank = _rank(one.passage_id, list(dict.fromkeys(seen)))
        if one.kind == "click" and one.value > 0 and one.passage_id and rank:
            found[one.passage_id] = ("click", one.passage_id, rank)
    return list(found.values()) or "feedback on nothing that was shown"


def _is_dislike(one: Feedback) -> bool:
    return (one.kind == "thumbs" and one.value < 0) or (
        one.kind == "task_success" and not one.value
    )


def _behind_answer(request: Request) -> Sequence[str]:
    return request.citations or [hit.passage_id for hit in request.context[:1]]


def _rank(passage_id: str | None, shown: Sequence[str]) -> int | None:
    return None if passage_id not in shown else shown.index(passage_id) + 1


def _weighed(
    weights: Mapping[tuple[str, str, str], float],
    behind: Mapping[tuple[str, str, str], Mapping[str, Source]],
    clip: float,
) -> Iterator[Pair]:
    for (name, question, passage_id), weight in weights.items():
        requests = behind[name, question, passage_id]
        yield Pair(
            question_id=name,
            question=question,
            passage_id=passage_id,
            source="click" if "click" in requests.values() else "feedback",
            weight=min(weight, clip),
            request_ids=tuple(sorted(requests)),
        )
