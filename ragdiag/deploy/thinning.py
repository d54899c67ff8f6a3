"""A plain sample out of a log that keeps errors, slow requests and thumbs-down for certain.

What a rule kept is drawn here once more, so that every request is left with one chance c whatever
became of it. Shares, means and quantiles of what is left are then those of all requests, and what
holds of independent requests (detectors, gates, their error rates) holds of it unchanged:

- one that was drawn with chance p ≥ c stays with chance c/p;
- one that was certain stays if the logger's own draw at c takes it. So a thumbs-down that brought
  back a request which had been passed over adds none.

Both draws hash the request's id: looking again finds the same requests.
"""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.instrumentation.sampling import is_drawn
from ragdiag.store.outcomes import Outcome


def lowest_chance(outcomes: Sequence[Outcome]) -> float:
    """The smallest chance with which any of these was logged; 1 where everything was."""
    return min((one.keep_probability for one in outcomes), default=1.0)


def thin(outcomes: Sequence[Outcome], chance: float) -> list[Outcome]:
    """Those of ``outcomes``, oldest first, that stay. ``chance`` is c at the start; from a request
    on that was logged with a smaller one it is that. All of them where everything was logged."""
    kept = []
    for one in outcomes:
        chance = min(chance, one.keep_probability)
        if _stays(one, chance):
            kept.append(one)
    return kept


def _stays(one: Outcome, chance: float) -> bool:
    if one.keep_probability == 1:
        return is_drawn(one.request_id, chance)
    return is_drawn(f"{one.request_id}.thinned", chance / one.keep_probability)
