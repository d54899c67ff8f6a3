"""With what chance a labelled answer was drawn.

What a grader is worth is biased where labels were drawn by what graders say and are counted alike
(weighted_agreement.py). ``grade sample`` writes the chance of each line. Of labels without one it
is asked whether they are spread as a random draw spreads them over what graders say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from ragdiag.grading.contract import Item
from ragdiag.records import DEFAULT_GRADER
from ragdiag.stats.weighted_agreement import Draw
from ragdiag.store.findings import load_grades, load_weights
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import load_requests
from ragdiag.store.reviews import load_asked
from ragdiag.workflows.grading.human_labels import HumanLabels
from ragdiag.workflows.grading.label_strata import Row, is_favoured

WITHOUT = "labels without a chance (propensity) count as drawn at random"
BY_CHANCE = "each label weighs 1 / the chance with which it was drawn"
Place = tuple[str, str, date]
"""Version, traffic and week, by which Review draws."""


def draws_of(
    lake: Lake, items: Sequence[Item], labels: HumanLabels, graders: Sequence[str]
) -> Sequence[Draw] | str:
    """How each of ``items`` was drawn, or why the chances, which differ, cannot be known: only some
    lines tell theirs, or none does and the labels favour what one of ``graders`` or the default one
    says, more than chance does once in a thousand draws. What a sampled log's requests stand for
    counts, too."""
    chances = [labels.chances.get(item.item_id) for item in items]
    unknown = sum(chance is None for chance in chances)
    requests = [item.item_id for item in items if item.item_id not in labels.items]
    if unknown < len(items) or any(item.item_id in labels.chances for item in items):
        if unknown:
            return (
                f"{unknown} of {len(items)} labelled answers have no chance (propensity) of their "
                "own, and others have"
            )
    elif by := _favoured(lake, requests, labels.labels, graders):
        return (
            f"labels without a chance (propensity) are not spread at random over what {by} says: "
            "draw them with grade sample, or give every line the chance 1 if all were drawn alike"
        )
    stands_for = load_weights(lake, requests)
    return [
        Draw(1.0 if chance is None else chance, stands_for.get(item.item_id, 1.0))
        for item, chance in zip(items, chances, strict=True)
    ]


def _favoured(
    lake: Lake, requests: Sequence[str], labels: Mapping[str, int], graders: Sequence[str]
) -> str | None:
    """The first of the graders whose word the labels favour among all answers of the versions,
    traffic and weeks that they are of."""
    places = _places(lake, requests)
    weights = load_weights(lake, list(places))
    for grader in dict.fromkeys((DEFAULT_GRADER, *graders)):
        grades = load_grades(lake, grader, list(places))
        rows = [
            Row(
                " ".join(map(str, place)),
                weights[name],
                labels.get(name),
                {grader: str(grades[name].y)},
            )
            for name, place in places.items()
            if name in grades
        ]
        if rows and is_favoured(rows, (), grader, seed=0):
            return grader
    return None


def _places(lake: Lake, requests: Sequence[str]) -> dict[str, Place]:
    """All answers of the places that these requests are of, by id."""
    of = {
        (one.version_id, str(one.traffic), _monday(one.asked_at.date()))
        for one in (load_requests(lake, request_ids=requests) if requests else [])
    }
    return {
        asked.request_id: place
        for place in sorted(of)
        for asked in load_asked(lake, Filters(version_id=place[0], traffic=place[1], week=place[2]))
        if asked.answered
    }


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
